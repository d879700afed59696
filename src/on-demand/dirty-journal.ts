import type { AttachedLoopDevice } from '../expose/loop-device.ts';

/** Reads a part of an image, wherever it is now. */
export type ReadImage = (offset: number, length: number) => Promise<Buffer>;

/** ext2, 3 and 4: Documentation/filesystems/ext4/super.rst. Bytes. */
const SUPERBLOCK_OFFSET = 1024;
const SUPERBLOCK_BYTES = 1024;
const MAGIC_OFFSET = 0x38;
const EXT4_SUPER_MAGIC = 0xef53;
const FEATURE_INCOMPAT_OFFSET = 0x60;
const EXT4_FEATURE_INCOMPAT_RECOVER = 0x4;

/**
 * The devices of an image with an ext4 whose journal holds what its blocks do not: the kernel mounts it read-only from a
 * device that cannot be written to with `noload` alone.
 */
export async function dirtyJournals(
  { device, kind, partitions }: Pick<AttachedLoopDevice, 'device' | 'kind' | 'partitions'>,
  size: number,
  read: ReadImage,
): Promise<string[]> {
  const places = kind === 'file-system' ? [{ path: device, start: 0, size }] : partitions;
  const dirty: string[] = [];
  for (const place of places) {
    if (place.size < SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) continue;
    const superblock = await read(place.start + SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES);
    const isExt = superblock.readUInt16LE(MAGIC_OFFSET) === EXT4_SUPER_MAGIC;
    const features = superblock.readUInt32LE(FEATURE_INCOMPAT_OFFSET);
    if (isExt && (features & EXT4_FEATURE_INCOMPAT_RECOVER) !== 0) dirty.push(place.path);
  }
  return dirty;
}
