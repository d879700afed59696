import fs from 'node:fs';
import { run } from '../fixtures/run.ts';
import type { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Makes a qcow2 image of a raw one. */
export function qcow2Of(
  directory: TemporaryDirectory,
  raw: string,
  options: string,
  ...more: string[]
): string {
  const made = directory.file(`${crypto.randomUUID()}.qcow2`);
  run([
    'qemu-img',
    'convert',
    '-f',
    'raw',
    '-O',
    'qcow2',
    ...more,
    ...(options === '' ? [] : ['-o', options]),
    raw,
    made,
  ]);
  return made;
}

/** Makes an empty qcow2 image, and writes to it, by commands of qemu-io(1). */
export function writtenQcow2(
  directory: TemporaryDirectory,
  size: string,
  options: string,
  commands: readonly string[],
): string {
  const made = directory.file(`${crypto.randomUUID()}.qcow2`);
  run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...(options === '' ? [] : ['-o', options]), made, size]);
  write(made, commands);
  return made;
}

export function write(image: string, commands: readonly string[]): void {
  run(['qemu-io', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), image]);
}

/** What QEMU makes of a qcow2 image. */
export function convertedByQemu(directory: TemporaryDirectory, image: string): Buffer {
  const raw = directory.file('converted.raw');
  run(['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', image, raw]);
  try {
    return fs.readFileSync(raw);
  } finally {
    fs.rmSync(raw);
  }
}

const MIB = 1024 * 1024;
/** A chain of operations that leaves clusters of every kind, in no order. */
const MIXED = [
  'write -P 0x11 0 300k',
  'write -P 0x22 5M 1000k',
  'write -c -P 0x33 8M 1M',
  'write -P 0x44 1M 512',
  'write -z 5200k 100k',
  'write -z -u 8M 64k',
  'discard 100k 70k',
  'write -P 0x55 2100k 40k',
  'write -P 0 12M 100k',
];

/** Images of every kind that qemu-img and qemu-io make; `raw` is an image of a file system, or like one. */
export const QCOW2_KINDS: readonly [string, (directory: TemporaryDirectory, raw: string) => string][] = [
  ['version 3', (directory, raw) => qcow2Of(directory, raw, '')],
  ['version 2', (directory, raw) => qcow2Of(directory, raw, 'compat=0.10')],
  ['version 2, compressed', (directory, raw) => qcow2Of(directory, raw, 'compat=0.10', '-c')],
  ['compressed with zlib', (directory, raw) => qcow2Of(directory, raw, '', '-c')],
  ['compressed with zstd', (directory, raw) => qcow2Of(directory, raw, 'compression_type=zstd', '-c')],
  ['clusters of 512 bytes', (directory, raw) => qcow2Of(directory, raw, 'cluster_size=512')],
  [
    'clusters of 512 bytes, compressed',
    (directory, raw) => qcow2Of(directory, raw, 'cluster_size=512', '-c'),
  ],
  ['clusters of 4 KiB', (directory, raw) => qcow2Of(directory, raw, 'cluster_size=4096')],
  ['clusters of 2 MiB', (directory, raw) => qcow2Of(directory, raw, 'cluster_size=2M')],
  ['clusters of 2 MiB, compressed', (directory, raw) => qcow2Of(directory, raw, 'cluster_size=2M', '-c')],
  [
    'clusters of 2 MiB, zstd',
    (directory, raw) => qcow2Of(directory, raw, 'cluster_size=2M,compression_type=zstd', '-c'),
  ],
  ['out of order', (directory, raw) => qcow2Of(directory, raw, '', '-c', '-W', '-m', '16')],
  ['subclusters', (directory, raw) => qcow2Of(directory, raw, 'extended_l2=on,cluster_size=64k')],
  ['lazy reference counts', (directory, raw) => qcow2Of(directory, raw, 'lazy_refcounts=on')],
  ['preallocated tables', (directory, raw) => qcow2Of(directory, raw, 'preallocation=metadata')],
  ['preallocated', (directory, raw) => qcow2Of(directory, raw, 'preallocation=falloc')],
  ['wide reference counts', (directory, raw) => qcow2Of(directory, raw, 'refcount_bits=64')],
  ['nothing in it', (directory) => writtenQcow2(directory, '40M', '', [])],
  ['written here and there', (directory) => writtenQcow2(directory, '20M', '', MIXED)],
  [
    'written here and there, version 2',
    (directory) =>
      writtenQcow2(
        directory,
        '20M',
        'compat=0.10',
        MIXED.filter((each) => !each.includes('-z')),
      ),
  ],
  [
    'written here and there, subclusters',
    (directory) =>
      writtenQcow2(
        directory,
        '20M',
        'extended_l2=on',
        MIXED.filter((each) => !each.includes('-c')),
      ),
  ],
  [
    'written here and there, subclusters of 512 bytes',
    (directory) =>
      writtenQcow2(
        directory,
        '20M',
        'extended_l2=on,cluster_size=16k',
        MIXED.filter((each) => !each.includes('-c')),
      ),
  ],
  [
    'written here and there, small clusters',
    (directory) => writtenQcow2(directory, '20M', 'cluster_size=1k', MIXED),
  ],
  [
    'an odd size',
    (directory) =>
      writtenQcow2(directory, String(3 * MIB + 512), '', ['write -P 7 2900k 100k', 'write -P 9 3145728 512']),
  ],
  [
    'several L2 tables',
    (directory) =>
      writtenQcow2(directory, '40M', 'cluster_size=4k', [
        'write -P 1 5M 9k',
        'write -P 2 20M 3M',
        'write -P 3 40900k 4k',
      ]),
  ],
  [
    'internal snapshots',
    (directory) => {
      const image = writtenQcow2(directory, '10M', '', ['write -P 1 0 4M']);
      run(['qemu-img', 'snapshot', '-c', 'before', image]);
      write(image, ['write -P 2 1M 1M', 'write -z 3M 64k']);
      run(['qemu-img', 'snapshot', '-c', 'between', image]);
      write(image, ['write -P 3 9M 100k']);
      return image;
    },
  ],
  [
    'made larger',
    (directory, raw) => {
      const image = qcow2Of(directory, raw, '', '-c');
      run(['qemu-img', 'resize', '-q', '-f', 'qcow2', image, '+70M']);
      write(image, ['write -P 8 60M 3k']);
      return image;
    },
  ],
  [
    'made smaller',
    (directory, raw) => {
      const image = qcow2Of(directory, raw, '');
      run(['qemu-img', 'resize', '-q', '-f', 'qcow2', '--shrink', image, '7M']);
      return image;
    },
  ],
  [
    'marked dirty',
    (directory, raw) => {
      const image = qcow2Of(directory, raw, 'lazy_refcounts=on');
      const bytes = fs.readFileSync(image);
      bytes[79] = (bytes[79] ?? 0) | 1;
      fs.writeFileSync(image, bytes);
      return image;
    },
  ],
];
