import { afterAll, describe, expect, test } from 'bun:test';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import type { CpioMember } from '../../src/uki/cpio-archive.ts';
import { readInitrd } from '../../src/uki/initrd-archives.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { alwaysAsync, mutatedBytes, unlessRefusedAsync } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeArchive } from '../fixtures/uki.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const noise = noiseOf(50_000);
const first = makeArchive(directory, {
  'kernel/x86/microcode/AuthenticAMD.bin': noise,
  'etc/odd': 'abc',
});
const second = makeArchive(directory, { 'usr/bin/rdpull': noise, 'etc/link': { link: '../usr/bin/rdpull' } });
const packed = (command: string, archive: Buffer = second) => run(command.split(' '), { input: archive });

/** What is in an initrd that comes in chunks of this many bytes. */
async function read(initrd: Uint8Array, chunk = 65_536) {
  const members: CpioMember[] = [];
  const contents = new Map<string, string>();
  function* body() {
    for (let at = 0; at < initrd.length; at += chunk) yield initrd.subarray(at, at + chunk);
  }
  const archives = await readInitrd(
    body(),
    (member) => {
      members.push(member);
      return member.size > 100_000
        ? undefined
        : (content) => void contents.set(member.path, Buffer.from(content).toString('hex'));
    },
    () => Promise.resolve(),
  );
  return { ...archives, members, contents };
}

async function refusal(initrd: Uint8Array): Promise<string> {
  const error: unknown = await read(initrd).catch((caught) => caught);
  if (error instanceof RdpullError && error.code === 'uki-malformed') return error.message;
  throw error;
}

test('an archive holds what bsdtar has put in', async () => {
  const { members, contents, packed, opaque } = await read(second);
  expect(
    members
      .filter(({ kind }) => kind !== 'directory')
      .sort((one, other) => one.path.localeCompare(other.path)),
  ).toEqual([
    expect.objectContaining({ path: 'etc/link', kind: 'link', size: 17, names: 1 }),
    expect.objectContaining({ path: 'usr/bin/rdpull', kind: 'file', size: 50_000, names: 1 }),
  ]);
  expect(contents.get('usr/bin/rdpull')).toBe(noise.toString('hex'));
  expect(contents.get('etc/link')).toBe(Buffer.from('../usr/bin/rdpull').toString('hex'));
  expect({ packed, opaque }).toEqual({ packed: ['none'], opaque: undefined });
});

describe('archives one after the other are read', () => {
  const pieces: Record<string, () => Buffer> = {
    zstd: () => packed('zstd -q'),
    'zstd of many blocks': () => packed('zstd -q -19 --long=27'),
    gzip: () => packed('gzip'),
    xz: () => packed('xz --check=crc32'),
    'xz in blocks': () => packed('xz -T2 --block-size=16384 --check=crc32'),
    bzip2: () => packed('bzip2'),
    none: () => second,
  };
  for (const [name, piece] of Object.entries(pieces)) {
    test.each([65_536, 1000, 7])(`none, ${name}, none, in pieces of %d bytes`, async (chunk) => {
      const compressed = piece();
      const padding = Buffer.alloc(512 + ((4 - (compressed.length % 4)) % 4));
      const { members, contents, unpacked } = await read(
        Buffer.concat([first, compressed, padding, first]),
        chunk,
      );
      expect(members.filter(({ path }) => path === 'etc/odd')).toHaveLength(2);
      expect(contents.get('usr/bin/rdpull')).toBe(noise.toString('hex'));
      expect(unpacked).toBeGreaterThanOrEqual(2 * first.length + second.length);
    });
  }
});

test('what nothing here decompresses is named, and what stands before it is known', async () => {
  const lz4 = Buffer.from([0x02, 0x21, 0x4c, 0x18, 1, 2, 3]);
  const { members, opaque } = await read(Buffer.concat([first, lz4]));
  expect(opaque).toBe('lz4');
  expect(members.map(({ path }) => path)).toContain('etc/odd');
});

test('an initrd of nothing holds nothing', async () => {
  expect((await read(new Uint8Array(0))).members).toEqual([]);
  expect((await read(new Uint8Array(1000))).members).toEqual([]);
});

describe('refused is what', () => {
  test.each<[string, () => Buffer, string]>([
    ['is no archive', () => Buffer.from('hello, world'), 'neither an archive nor compressed'],
    ['is cut in an archive', () => first.subarray(0, 30_000), 'ends in the middle of an archive'],
    ['is cut in a stream', () => packed('zstd -q').subarray(0, 20_000), 'ends too early'],
    ['is cut in a stream of xz', () => packed('xz').subarray(0, 20_000), 'ends too early'],
    [
      'holds half an archive in a whole stream',
      () => packed('zstd -q', second.subarray(0, 30_000)),
      'not complete',
    ],
    ['holds something else in a stream', () => packed('gzip', Buffer.from('hello, world')), 'no archive'],
    [
      'has a damaged header',
      () => Buffer.concat([Buffer.from('070701zz'), Buffer.alloc(200, '0')]),
      'damaged',
    ],
  ])('%s', async (_, make, message) => {
    expect(await refusal(make())).toContain(message);
  });

  test('is damaged in a stream', async () => {
    const bytes = packed('zstd -q --check');
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    expect(await refusal(bytes)).toContain('zstd stream is corrupt');
  });
});

test('whatever is changed in an initrd, it is read or refused', async () => {
  const small = makeArchive(directory, { 'etc/a': 'abc', 'etc/link': { link: 'a' } });
  await alwaysAsync(
    mutatedBytes([small, packed('zstd -q', small), Buffer.concat([small, packed('gzip', small)])]),
    async (bytes) => {
      await unlessRefusedAsync(() => read(bytes, 333));
    },
    0.1,
  );
});

test('what grows a thousand times, as no files do, is refused before it takes its time', async () => {
  using tree = new TemporaryDirectory();
  run(['truncate', '-s', '300M', tree.file('zeros')]);
  const bomb = run(['sh', '-c', 'echo zeros | cpio --quiet -o -H newc | bzip2'], { cwd: tree.path });
  expect(await refusal(bomb)).toEndWith('its initrd is more than 1000 times larger after decompression');
});
