import fs from 'node:fs';
import { DISCOVERABLE_PARTITIONS } from '../../src/expose/discoverable-partitions.ts';
import type { RootTree } from './root-tree.ts';
import { tool } from './tool.ts';

const MIB = 1024 * 1024;

/** mkfs.ext4 makes blocks of 1024 bytes below 512 MiB, which a disk with sectors of 4096 cannot have. */
export type FileSystem = 'ext4' | 'ext4-4096' | 'erofs' | 'squashfs';
export type Packing = 'xz' | 'zst' | 'gz' | 'none';

/** The label of an ext4 root, and of the partition that any root is in. */
export const LABEL = 'lab-root';

// As much again as is in it, and its own tables.
const makeExt4 = (options: string) =>
  `size=$(du -sm "$1" | cut -f1); truncate -s "$((size * 5 / 4 + 12))M" "$2"; mkfs.ext4 -q ${options}-L ${LABEL} \${3:+-U $3 -E hash_seed=$3} -d "$1" "$2"`;

const MAKE: Record<FileSystem, string> = {
  ext4: makeExt4(''),
  'ext4-4096': makeExt4('-b 4096 '),
  erofs: 'mkfs.erofs --quiet "$2" "$1"',
  squashfs: 'mksquashfs "$1" "$2" -quiet -no-progress',
};

/**
 * A root file system without a partition table.
 *
 * @param uuid of an ext4, where it is not to be one of chance: all its checksums depend on that
 */
export async function makeFileSystem(
  { directory }: RootTree,
  kind: FileSystem,
  file: string,
  uuid = '',
): Promise<void> {
  await tool(['sh', '-euc', `${MAKE[kind]} >&2`, 'sh', directory, file, uuid]);
}

/**
 * A disk image: a GPT, and one partition of the root type.
 *
 * @param uuid as of {@link makeFileSystem}
 */
export async function makeDisk(
  tree: RootTree,
  kind: FileSystem,
  file: string,
  architecture: 'x64' | 'arm64' = 'x64',
  uuid?: string,
): Promise<void> {
  const partition = `${file}.partition`;
  await makeFileSystem(tree, kind, partition, uuid);
  const sectors = Math.ceil(fs.statSync(partition).size / MIB) * 2048;
  await tool(['truncate', '--size', `${sectors / 2048 + 2}M`, file]);
  const table = `label: gpt\nstart=2048, size=${sectors}, type=${DISCOVERABLE_PARTITIONS[architecture].root}, name=${LABEL}\n`;
  await tool(['sfdisk', '--quiet', file], table);
  await tool([
    'dd',
    `if=${partition}`,
    `of=${file}`,
    'bs=1M',
    'seek=1',
    'conv=notrunc,sparse',
    'status=none',
  ]);
  fs.rmSync(partition);
}

/**
 * Leaves in the journal of an ext4 what its blocks do not have, as a machine that lost its power does: zeros for the first block of
 * a file. Who looks at the journal sees them.
 *
 * @param name of a file in it, below its root
 */
export async function dirtyJournal(file: string, name: string, isIn: 'disk' | 'bare'): Promise<void> {
  const place = isIn === 'disk' ? `${file}?offset=${MIB}` : file;
  const block = (await tool(['debugfs', '-R', `bmap /${name} 0`, place])).trim();
  const zeros = `${file}.zeros`;
  fs.writeFileSync(zeros, Buffer.alloc(4096));
  await tool(
    ['debugfs', '-w', '-f', '-', place],
    `journal_open\njournal_write -b ${block} ${zeros}\njournal_close\n`,
  );
  fs.rmSync(zeros);
}

/** What the superblock of the ext4 in a disk image says of it. */
export async function fileSystemState(file: string): Promise<string> {
  return await tool(['dumpe2fs', '-h', `${file}?offset=${MIB}`]);
}

/** A tarball with everything that a tree is made of. */
export async function makeTarball({ directory }: RootTree, file: string): Promise<void> {
  await tool([
    'tar',
    '--create',
    '--numeric-owner',
    '--xattrs',
    '--file',
    file,
    '--directory',
    directory,
    '.',
  ]);
}

/** Replaces a file by its packed form, and returns the name of that. */
export async function pack(file: string, packing: Packing): Promise<string> {
  if (packing === 'none') return file;
  const packed = `${file}.${packing}`;
  // Level 3 with blocks of three times the dictionary is what mkosi makes of a disk image.
  const command = { xz: 'xz -T0 -3', zst: 'zstd -q -T0', gz: 'gzip' }[packing];
  await tool(['sh', '-euc', `${command} <"$1" >"$2"; rm "$1"`, 'sh', file, packed]);
  return packed;
}
