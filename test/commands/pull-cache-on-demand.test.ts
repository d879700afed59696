import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { CachingMachine, digestOf } from '../fixtures/caching-machine.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { RangeServer } from '../fixtures/range-server.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const MIB = 1024 * 1024;

let served: TemporaryDirectory;
let server: RangeServer;
let machine: CachingMachine;
let image: Buffer;

beforeEach(() => {
  served = new TemporaryDirectory();
  // What is behind the file system packs to as much: the image does not fit into one request.
  fs.appendFileSync(makeImage(served), noiseOf(MIB / 2));
  image = fs.readFileSync(served.file('image.raw'));
  run(['xz', '-0', '-k', '--block-size=64KiB', served.file('image.raw')]);
  server = new RangeServer(served.path);
  machine = new CachingMachine();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  for (const each of [served, machine]) each[Symbol.dispose]();
});

/** A boot that reads the image on demand, until all of it is there. */
async function boot(...args: string[]) {
  server.asked.length = 0;
  const child = machine.start(
    ...(args.some((each) => each.startsWith('--on-demand')) ? [] : ['--on-demand']),
    ...args,
  );
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  const lines = stdout.split('\n').filter((line) => line !== '');
  const last = JSON.parse(lines.at(-1) ?? '{}');
  const content = last.loop === undefined ? undefined : contentOf(last.loop.device);
  if (last.loop !== undefined)
    expect(await machine.rdpull('detach', last.loop.device)).toMatchObject({ status: 0 });
  return { status: child.exitCode, stderr, last, content, wasShown: lines.length > 1 };
}

const contentOf = (device: string) => digestOf(fs.readFileSync(device).subarray(0, image.length));

test('an image that is read on demand is kept as it was served; the next boot fetches none of it', async () => {
  const first = await boot('--verify=no', `${server.url}/image.raw`);
  expect(first).toMatchObject({ status: 0, wasShown: true, content: digestOf(image) });
  expect(first.last.cache).toMatchObject({ fetched: image.length, reused: 0, triesLeft: 3 });
  // Nobody would bless it any more: the next boot is the first that counts.
  const [kept = ''] = machine.images();
  expect(kept).toMatch(/^machines\/image\.raw\.v\/image_[\w.]+\+3-0\.raw$/);
  expect(digestOf(fs.readFileSync(path.join(machine.cache, kept)))).toBe(digestOf(image));

  const second = await boot('--verify=no', `${server.url}/image.raw`);
  expect(second).toMatchObject({ status: 0, wasShown: false, content: digestOf(image) });
  expect(second.last.cache).toMatchObject({ fetched: 0, reused: image.length, triesLeft: 2 });
  expect(server.asked).toEqual([]);
  machine.comeUp();
  expect(machine.images()).toEqual([kept.replace('+3-0', '')]);
});

test('what the digest in the request names is taken from the cache, and nobody is asked', async () => {
  const verify = `--verify=sha256:${digestOf(image)}`;
  await using whole = startWebServer(served.path);
  // As a whole: nothing vouches for a part of it.
  const first = await boot(verify, `${whole.url}/image.raw`);
  expect(first).toMatchObject({ status: 0, wasShown: false, content: digestOf(image) });
  const again = await boot(verify, '--on-demand=require', 'http://127.0.0.1:9/image.raw');
  expect(again).toMatchObject({ status: 0, content: digestOf(image) });
  expect(again.last.cache).toMatchObject({ fetched: 0 });
});

test('another image on the server is read on demand, and kept beside the first', async () => {
  await boot('--verify=no', `${server.url}/image.raw`);
  fs.utimesSync(served.file('image.raw'), new Date(0), new Date(0));
  server.version++;
  const second = await boot('--verify=no', `${server.url}/image.raw`);
  expect(second).toMatchObject({ status: 0, wasShown: true });
  // The very same bytes are kept once.
  expect(machine.images()).toHaveLength(1);
  fs.writeFileSync(served.file('image.raw'), Buffer.concat([image, Buffer.alloc(4096)]));
  server.version++;
  expect(await boot('--verify=no', `${server.url}/image.raw`)).toMatchObject({ status: 0, wasShown: true });
  expect(machine.images()).toHaveLength(2);
});

const SEEKABLE_ZSTD = path.join(import.meta.dir, '../../scripts/seekable-zstd');

test.each([
  ['xz', (raw: string) => ['xz', '-0', '-k', '-f', '--block-size=64KiB', raw], '.xz', '.raw.xz'],
  ['zstd in frames', (raw: string) => [SEEKABLE_ZSTD, '--frame=64KiB', raw], '.zst', '.raw.zst'],
  [
    'qcow2',
    (raw: string) => ['qemu-img', 'convert', '-O', 'qcow2', '-c', raw, `${raw}.qcow2`],
    '.qcow2',
    '.raw',
  ],
])(
  'what is packed is kept as it comes, and the next boot fetches none of it: %s',
  async (_, command, suffix, kept) => {
    run(command(served.file('image.raw')));
    const packed = fs.readFileSync(served.file(`image.raw${suffix}`));
    const url = `${server.url}/image.raw${suffix}`;
    const first = await boot('--verify=no', url);
    expect(first).toMatchObject({ status: 0, wasShown: true, content: digestOf(image) });
    expect(first.stderr).not.toContain('not kept');
    const [name = ''] = machine.images();
    expect(name).toEndWith(`+3-0${kept}`);
    expect(digestOf(fs.readFileSync(path.join(machine.cache, name)))).toBe(digestOf(packed));

    const second = await boot('--verify=no', url);
    expect(second).toMatchObject({ status: 0, wasShown: false, content: digestOf(image) });
    expect(second.last.cache).toMatchObject({ fetched: 0, triesLeft: 2 });
    expect(server.asked).toEqual([]);
  },
);

test('what is packed and breaks off is not kept', async () => {
  const child = machine.start('--on-demand', '--verify=no', '--fill=64K', `${server.url}/image.raw.xz`);
  const reader = child.stdout.getReader();
  const { value = new Uint8Array() } = await reader.read();
  expect(new TextDecoder().decode(value)).toContain('"event":"attached"');
  expect(machine.files()).toEqual(['machines/image.raw.v/.#rdpull-image']);
  // It is another one now.
  server.version++;
  await child.stderr.text();
  await child.exited;
  expect(machine.files()).toEqual([]);
});

test('the last try of an image is one, however often it is asked for', async () => {
  await machine.boot('--verify=no', '--tries=1', `${server.url}/image.raw`);
  machine.comeUp();
  image = Buffer.concat([image, Buffer.alloc(4096, 7)]);
  fs.writeFileSync(served.file('image.raw'), image);
  server.version++;
  await boot('--verify=no', '--tries=1', `${server.url}/image.raw`);
  expect(machine.images().filter((name) => name.includes('+1-0'))).toHaveLength(1);
  const last = await boot('--verify=no', '--tries=1', `${server.url}/image.raw`);
  expect(last).toMatchObject({ status: 0, wasShown: false, content: digestOf(image) });
  expect(last.last.cache).toMatchObject({ triesLeft: 0 });
});

test('what fails when the image is in use is a failure, and no reason to boot another one', async () => {
  await machine.boot('--verify=no', `${server.url}/image.raw`);
  machine.comeUp();
  fs.writeFileSync(served.file('image.raw'), Buffer.concat([image, Buffer.alloc(MIB)]));
  server.version++;
  const child = machine.start('--on-demand', '--verify=no', '--fill=256K', `${server.url}/image.raw`);
  const reader = child.stdout.getReader();
  const { value = new Uint8Array() } = await reader.read();
  expect(new TextDecoder().decode(value)).toContain('"event":"attached"');
  // It is another one now.
  server.version++;
  const stderr = await child.stderr.text();
  await child.exited;
  expect(child.exitCode).not.toBe(0);
  expect(stderr).not.toContain('is used in its place');
});
