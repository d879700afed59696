import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { imageToChunk, makeChunks } from '../chunks/chunked-image.ts';
import { type Boot, CachingMachine, digestOf, flipBit } from '../fixtures/caching-machine.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { makeImage, publishAsOf, writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const V = 'machines/image.raw.v';
const NOBODY = 'http://127.0.0.1:9/image.caibx';

let served: TemporaryDirectory;
let work: TemporaryDirectory;
let server: WebServer;
let machine: CachingMachine;
let image: Buffer;

beforeEach(() => {
  served = new TemporaryDirectory();
  work = new TemporaryDirectory();
  server = startWebServer(served.path);
  machine = new CachingMachine();
  image = imageToChunk(noiseOf(1_500_000));
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  for (const each of [served, work, machine]) each[Symbol.dispose]();
});

/** Publishes what `image` is now, in chunks by casync, as of a day in 2026. */
function publish(day: number): void {
  makeChunks(served.path, 'image', work.write('image.raw', image));
  publishAsOf(served, 'image.caibx', day);
}

async function boot(url = `${server.url}/image.caibx`): Promise<Boot & { readonly chunks: number }> {
  server.requests.length = 0;
  const booted = await machine.boot('--verify=checksum', url);
  return { ...booted, chunks: server.requests.filter((each) => each.includes('.castr/')).length };
}

const cached = () => path.join(machine.cache, machine.images()[0] ?? '');

describe('an image in chunks', () => {
  test('is kept as it is, and its index beside it; the next boot fetches the index, and no chunk', async () => {
    publish(1);
    const first = await boot();
    expect(first.cache).toMatchObject({ reused: 0, triesLeft: 2 });
    expect(machine.files().sort()).toEqual([
      `${V}/image_20260101T000000+2-1.raw`,
      `${V}/image_20260101T000000.files/SHA256SUMS`,
      `${V}/image_20260101T000000.files/about.json`,
      `${V}/image_20260101T000000.files/image.caibx`,
    ]);
    expect(digestOf(fs.readFileSync(cached()))).toBe(digestOf(image));
    // Holes stay holes.
    expect(fs.statSync(cached()).blocks * 512).toBeLessThan(image.length - 400_000);
    const second = await boot();
    expect({ chunks: second.chunks, image: second.image }).toEqual({ chunks: 0, image: digestOf(image) });
    expect(second.cache).toMatchObject({ fetched: 0, triesLeft: 1 });
    expect(machine.images()).toEqual([`${V}/image_20260101T000000+1-2.raw`]);
  });

  test('of which 1 % has changed costs a few chunks', async () => {
    publish(1);
    const { chunks: all } = await boot();
    noiseOf(15_000, 1).copy(image, 700_000);
    publish(2);
    const changed = await boot();
    expect(changed.image).toBe(digestOf(image));
    expect(changed.chunks).toBeLessThan(all / 20);
    expect(changed.stderr).toMatch(/received, 1\.\d MiB found in .*image_20260101T000000/);
    expect(machine.images()).toHaveLength(2);
  });

  test('is fetched but for what a cached image has that came packed, and has no index', async () => {
    image = imageToChunk(noiseOf(6_000_000, 2));
    work.write('image.raw', image);
    const date = new Date(Date.UTC(2026, 0, 1));
    fs.utimesSync(served.write('image.raw.xz', run(['xz', '-0', '-c', work.file('image.raw')])), date, date);
    writeChecksums(served);
    await boot(`${server.url}/image.raw.xz`);
    const [packed = ''] = machine.images();
    expect(packed).toEndWith('.raw.xz');
    image = Buffer.concat([image.subarray(0, 2_000_000), noiseOf(9000, 3), image.subarray(2_000_000)]);
    publish(2);
    const changed = await boot();
    expect({ status: changed.status, image: changed.image }).toEqual({ status: 0, image: digestOf(image) });
    expect(changed.chunks).toBeGreaterThan(0);
    expect(changed.chunks).toBeLessThan(8);
    expect(changed.stderr).toContain(
      `${packed} has no index: it is cut into chunks, to see which of them need not be fetched\n`,
    );
    expect(changed.stderr).toMatch(/ received, 5\.\d MiB found in .*\.raw\.xz/);
    // From now on there is a newer one, which has an index.
    image = Buffer.concat([image.subarray(0, 1_000_000), noiseOf(5_500_000, 4)]);
    publish(3);
    const other = await boot();
    expect({ status: other.status, image: other.image }).toEqual({ status: 0, image: digestOf(image) });
    expect(other.stderr).not.toContain('has no index');
    expect(other.stderr).toMatch(/ received, \d+ KiB found in .*image_20260102T000000/);
  });

  test('is fetched but for what several images have that came whole', async () => {
    const halves = [noiseOf(6_000_000, 5), noiseOf(6_000_000, 6)];
    for (const [at, half] of halves.entries()) {
      const date = new Date(Date.UTC(2026, 0, 1 + at));
      fs.utimesSync(served.write('image.raw', half), date, date);
      writeChecksums(served);
      expect(await boot(`${server.url}/image.raw`)).toMatchObject({ status: 0 });
    }
    image = Buffer.concat(halves);
    publish(3);
    const joined = await boot();
    expect({ status: joined.status, image: joined.image }).toEqual({ status: 0, image: digestOf(image) });
    expect(joined.chunks).toBeLessThan(8);
    expect(joined.stderr.match(/has no index/g)).toHaveLength(2);
  });

  test('boots without a server, all of it checked by the index, and that by the checksum file', async () => {
    publish(1);
    await boot();
    machine.comeUp();
    const away = await boot(NOBODY);
    expect({ status: away.status, image: away.image }).toEqual({ status: 0, image: digestOf(image) });
    expect(away.cache).toMatchObject({
      fetched: 0,
      image: `${machine.cache}/${V}/image_20260101T000000.raw`,
    });
    flipBit(cached());
    const damaged = await boot(NOBODY);
    expect({ status: damaged.status, image: damaged.image }).toEqual({ status: 10, image: undefined });
  });

  test('is healed from the server, chunk by chunk, and counts as before', async () => {
    publish(1);
    await boot();
    machine.comeUp();
    flipBit(cached());
    const healed = await boot();
    expect(healed.image).toBe(digestOf(image));
    expect(healed.chunks).toBeLessThan(5);
    expect(healed.stderr).toContain('image_20260101T000000 of the cache is damaged, and is stored anew');
    expect(digestOf(fs.readFileSync(cached()))).toBe(digestOf(image));
    expect(machine.images()).toEqual([`${V}/image_20260101T000000.raw`]);
  });

  test('that never comes up gives way to the newest one that did', async () => {
    publish(1);
    await boot();
    machine.comeUp();
    const good = digestOf(image);
    noiseOf(1000, 7).copy(image, 1000);
    publish(2);
    for (let tries = 0; tries < 3; tries++) expect((await boot()).image).toBe(digestOf(image));
    const fallback = await boot();
    expect(fallback.image).toBe(good);
    expect(fallback.cache?.why).toContain('has no tries left');
  });

  test('that is in the cache is read from there on demand, too', async () => {
    image = fs.readFileSync(makeImage(work));
    publish(1);
    await boot();
    server.requests.length = 0;
    const onDemand = machine.start('--on-demand', '--verify=checksum', `${server.url}/image.caibx`);
    const [attached = '', complete = ''] = (await onDemand.stdout.text()).split('\n');
    const { loop } = JSON.parse(attached) as { loop: { device: string } };
    expect(JSON.parse(complete)).toMatchObject({ event: 'complete', received: 0, decoded: image.length });
    expect(server.requests.filter((each) => each.includes('.castr/'))).toEqual([]);
    expect(digestOf(fs.readFileSync(loop.device).subarray(0, image.length))).toBe(digestOf(image));
    expect(await machine.rdpull('detach', loop.device)).toMatchObject({ status: 0 });
    // A boot is counted, and the system that comes up says that it did.
    expect(machine.images()).toEqual([`${V}/image_20260101T000000+1-2.raw`]);
    machine.comeUp();
    expect(machine.images()).toEqual([`${V}/image_20260101T000000.raw`]);
  });

  test('that is read on demand is kept when all of it is there, and counted from the next boot on', async () => {
    image = fs.readFileSync(makeImage(work));
    publish(1);
    const onDemand = machine.start('--on-demand', '--verify=checksum', `${server.url}/image.caibx`);
    const [attached = ''] = (await onDemand.stdout.text()).split('\n');
    const { loop } = JSON.parse(attached) as { loop: { device: string } };
    expect(await machine.rdpull('detach', loop.device)).toMatchObject({ status: 0 });
    expect(machine.images()).toEqual([`${V}/image_20260101T000000+3-0.raw`]);
    expect(digestOf(fs.readFileSync(cached()))).toBe(digestOf(image));
    const next = await boot();
    expect({ chunks: next.chunks, image: next.image }).toEqual({ chunks: 0, image: digestOf(image) });
  });
});
