import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

/** A file system with dm-verity hashes beside it, as veritysetup makes them, behind a web server. */
const served = new TemporaryDirectory();
let server: WebServer;

beforeAll(() => {
  run(['truncate', '--size=4M', served.file('image.raw')]);
  run(['mkfs.ext4', '-q', served.file('image.raw')]);
  const report = run([
    'veritysetup',
    'format',
    served.file('image.raw'),
    served.file('image.verity'),
  ]).toString();
  served.write('image.roothash', /^Root hash:\s*([0-9a-f]{64})$/m.exec(report)?.[1] ?? '');
  run(['xz', '--keep', served.file('image.raw')]);
  server = startWebServer(served.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

function list(...names: string[]): void {
  served.write('SHA256SUMS', run(['sha256sum', ...names], { cwd: served.path }));
}

async function pull(target: TemporaryDirectory, ...options: string[]) {
  const before = server.requests.length;
  const { status, stderr } = await rdpull([
    ...['pull', `--image-root=${target.path}`, '--local=root', '--patience=0', ...options],
    `${server.url}/image.raw.xz`,
  ]);
  return { status, stderr, asked: server.requests.slice(before).map((line) => line.replace('GET /', '')) };
}

describe('the side files of a bare file system', () => {
  test('come with it when the checksum file lists them, and they fit', async () => {
    list('image.raw.xz', 'image.roothash', 'image.verity');
    using target = new TemporaryDirectory();
    const { status, asked } = await pull(target, '--verify=checksum');
    expect(status).toBe(0);
    expect(target.names()).toEqual(['root.raw', 'root.roothash', 'root.verity']);
    run([
      ...['veritysetup', 'verify', target.file('root.raw'), target.file('root.verity')],
      fs.readFileSync(target.file('root.roothash'), 'utf8'),
    ]);
    expect(asked.filter((name) => name.endsWith('.p7s'))).toEqual([]);
  });

  test('are not asked for when the checksum file does not list them', async () => {
    list('image.raw.xz');
    using target = new TemporaryDirectory();
    const { status, asked } = await pull(target, '--verify=checksum');
    expect(status).toBe(0);
    expect(target.names()).toEqual(['root.raw']);
    expect(asked.filter((name) => /roothash|verity/.test(name))).toEqual([]);
  });

  test('are not asked for when the digest of the image is all that was given', async () => {
    using target = new TemporaryDirectory();
    const digest = run(['sha256sum', served.file('image.raw.xz')])
      .toString()
      .slice(0, 64);
    const { status, asked } = await pull(target, `--verify=sha256:${digest}`);
    expect(status).toBe(0);
    expect(asked).toEqual(['image.raw.xz']);
  });

  test.each([
    ['changed', 'is not what was promised'],
    ['missing', 'is not there, though http://'],
  ])('make the pull fail when one is %s, and nothing is left', async (how, message) => {
    list('image.raw.xz', 'image.roothash', 'image.verity');
    const good = fs.readFileSync(served.file('image.verity'));
    if (how === 'missing') fs.rmSync(served.file('image.verity'));
    else served.write('image.verity', Buffer.concat([good, Buffer.from('x')]));
    try {
      using target = new TemporaryDirectory();
      const { status, stderr } = await pull(target, '--verify=checksum');
      expect(status).toBe(13);
      expect(stderr).toContain('image.verity');
      expect(stderr).toContain(message);
      expect(target.names()).toEqual([]);
    } finally {
      served.write('image.verity', good);
    }
  });

  test('are taken as they are with verify=no, but no web page in their place', async () => {
    served.write('image.roothash.p7s', '<!DOCTYPE html><html></html>');
    try {
      using target = new TemporaryDirectory();
      const { status } = await pull(target, '--verify=no');
      expect(status).toBe(0);
      expect(target.names()).toEqual(['root.raw', 'root.roothash', 'root.verity']);
    } finally {
      fs.rmSync(served.file('image.roothash.p7s'));
    }
  });

  test('that cannot be right are passed over with verify=no, with a warning', async () => {
    const good = fs.readFileSync(served.file('image.roothash'));
    for (const bad of ['no hash at all', Buffer.alloc(2 << 20)]) {
      served.write('image.roothash', bad);
      using target = new TemporaryDirectory();
      const { status, stderr } = await pull(target, '--verify=no');
      expect(status).toBe(0);
      expect(target.names()).toEqual(['root.raw']);
      expect(stderr).toMatch(
        /warning: .*image\.roothash is (?:passed over: it holds no root hash|longer than)/,
      );
    }
    served.write('image.roothash', good);
  });

  test('of an image stay with it when the pull that would have replaced it fails', async () => {
    using target = new TemporaryDirectory();
    await pull(target, '--verify=no');
    target.write('root.roothash.p7s', 'of the old one');
    const names = target.names();
    list('image.raw.xz', 'image.roothash', 'image.verity');
    const good = fs.readFileSync(served.file('image.verity'));
    served.write('image.verity', 'bad');
    try {
      expect((await pull(target, '--verify=checksum', '--force')).status).toBe(13);
      expect(target.names()).toEqual(names);
    } finally {
      served.write('image.verity', good);
    }
  });

  test('of an image that is replaced go when the new one has none', async () => {
    using target = new TemporaryDirectory();
    await pull(target, '--verify=no');
    list('image.raw.xz');
    const { status } = await pull(target, '--verify=checksum', '--force');
    expect(status).toBe(0);
    expect(target.names()).toEqual(['root.raw']);
  });
});

test.each([
  ['without dm-verity', ['type=linux'], []],
  [
    'with hashes and no signature',
    ['type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709', 'type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5'],
    ['disk.roothash'],
  ],
  [
    'with hashes and their signature',
    [
      'type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709',
      'type=2c7357ed-ebd2-46d9-aec1-23d437ec2bf5',
      'type=41092b05-9fc8-4523-994f-2def0408b176',
    ],
    [],
  ],
])('an image with partitions %s', async (_, partitions, wanted) => {
  const disk = served.file('disk.raw');
  run(['truncate', '--size=8M', disk]);
  const lines = partitions.map((line) => `size=1MiB,${line}`).join('\n');
  run(['sfdisk', '--quiet', '--label=gpt', disk], { input: Buffer.from(`${lines}\n`) });
  using target = new TemporaryDirectory();
  const before = server.requests.length;
  const { status } = await rdpull([
    ...['pull', `--image-root=${target.path}`, '--verify=no', '--patience=0'],
    `${server.url}/disk.raw`,
  ]);
  expect(status).toBe(0);
  const asked = server.requests.slice(before).map((line) => line.replace('GET /', ''));
  expect(asked.slice(1)).toEqual(wanted);
});
