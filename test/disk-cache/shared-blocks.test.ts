import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { SharedBlocks } from '../../src/disk-cache/shared-blocks.ts';
import { makeChunks } from '../chunks/chunked-image.ts';
import { CachingMachine, digestOf } from '../fixtures/caching-machine.ts';
import {
  LEAST_XFS_MIB,
  MOUNTED_KINDS,
  MountedFileSystem,
  type MountedKind,
} from '../fixtures/mounted-file-system.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { publishAsOf } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const MIB = 1024 * 1024;
const KIB = 1024;

const DISK_MIB = LEAST_XFS_MIB + 20;
const SHARING: readonly MountedKind[] = ['btrfs', 'xfs'];

/** What of a file is to be written, and what the file is when that is written. */
function shared(disk: MountedFileSystem, older: string, content: Buffer, pieceBytes: number) {
  const file = `${disk.path}/new`;
  const fd = fs.openSync(file, 'wx');
  let written = 0;
  try {
    using blocks = new SharedBlocks(older);
    for (let at = 0; at < content.length; at += pieceBytes) {
      const piece = content.subarray(at, at + pieceBytes);
      for (const { start, end } of blocks.share(fd, at, piece)) {
        fs.writeSync(fd, piece, start, end - start, at + start);
        written += end - start;
      }
    }
  } finally {
    fs.closeSync(fd);
  }
  expect(fs.readFileSync(file).equals(content)).toBe(true);
  return written;
}

describe.each(SHARING)('on %s', (kind) => {
  test('what a file has in common with an older one is not written again, nor does it take room', () => {
    using disk = new MountedFileSystem(kind, DISK_MIB);
    const content = noiseOf(4 * MIB + 5000);
    fs.writeFileSync(`${disk.path}/old`, content);
    const before = disk.used();
    content.fill(7, 100_000, 100_001);
    content.fill(7, 2 * MIB, 2 * MIB + 20_000);
    // Two grains of 16 KiB, one, and the rest behind the last whole one.
    expect(shared(disk, `${disk.path}/old`, content, 256 * KIB)).toBe(3 * 16 * KIB + 5000);
    expect(disk.used() - before).toBeLessThan(MIB / 2);
  });

  test('the new file stays what it is when the older one goes', () => {
    using disk = new MountedFileSystem(kind, DISK_MIB);
    const content = noiseOf(MIB, 1);
    fs.writeFileSync(`${disk.path}/old`, content);
    expect(shared(disk, `${disk.path}/old`, content, 256 * KIB)).toBe(0);
    fs.writeFileSync(`${disk.path}/old`, noiseOf(MIB, 2));
    fs.rmSync(`${disk.path}/old`);
    run(['sync', '-f', disk.path]);
    expect(fs.readFileSync(`${disk.path}/new`).equals(content)).toBe(true);
  });

  test('an older file that is shorter, or has other pieces, is no worse than none', () => {
    using disk = new MountedFileSystem(kind, DISK_MIB);
    const content = noiseOf(MIB, 3);
    fs.writeFileSync(`${disk.path}/old`, content.subarray(0, 300_000));
    expect(shared(disk, `${disk.path}/old`, content, 256 * KIB)).toBe(MIB - 18 * 16 * KIB);
    fs.rmSync(`${disk.path}/new`);
    fs.writeFileSync(`${disk.path}/old`, content);
    expect(shared(disk, `${disk.path}/old`, content, 10_000)).toBeGreaterThan(MIB / 2);
  });
});

test('where the file system cannot share, all is written, and likewise where there is no older file', () => {
  using disk = new MountedFileSystem('ext4', DISK_MIB);
  const content = noiseOf(MIB, 4);
  fs.writeFileSync(`${disk.path}/old`, content);
  expect(shared(disk, `${disk.path}/old`, content, 256 * KIB)).toBe(MIB);
  fs.rmSync(`${disk.path}/new`);
  expect(shared(disk, `${disk.path}/none`, content, 256 * KIB)).toBe(MIB);
});

describe('an image of the cache of which 1 % has changed', () => {
  const served = new TemporaryDirectory();
  const server = startWebServer(served.path);
  const image = noiseOf(24 * MIB, 5);
  beforeAll(() => publish(1));
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    served[Symbol.dispose]();
  });

  function publish(day: number): void {
    using work = new TemporaryDirectory();
    makeChunks(served.path, 'image', work.write('image.raw', image), { chunkSize: 64 * KIB });
    publishAsOf(served, 'image.caibx', day);
  }

  let day = 1;
  test.each(MOUNTED_KINDS)('takes little room beside the old one on btrfs and xfs: %s', async (kind) => {
    using disk = new MountedFileSystem(kind, DISK_MIB);
    using machine = new CachingMachine(disk.path);
    const pull = ['--verify=checksum', `${server.url}/image.caibx`];
    const first = await machine.boot(...pull);
    expect(first.image).toBe(digestOf(image));
    const before = disk.used();
    noiseOf(250_000, 5 + day).copy(image, 5 * MIB * day);
    publish(++day);
    const second = await machine.boot(...pull);
    expect(second.image).toBe(digestOf(image));
    expect(machine.images()).toHaveLength(2);
    const more = disk.used() - before;
    if (SHARING.includes(kind)) expect(more).toBeLessThan(4 * MIB);
    else expect(more).toBeGreaterThan(23 * MIB);
    const verified = await machine.rdpull('cache', 'verify', `--cache=${disk.path}`);
    expect(verified).toMatchObject({ status: 0 });
  });
});
