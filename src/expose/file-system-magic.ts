import type { ImageBytes } from './image-bytes.ts';

interface Magic {
  readonly type: string;
  /** Bytes from the start of the image. */
  readonly offset: number;
  readonly bytes: Buffer;
}

/** Where each file system keeps its magic number: include/uapi/linux/magic.h and the file systems' own headers. */
const MAGIC: readonly Magic[] = [
  magic('ext', 0x438, '53ef'), // EXT4_SUPER_MAGIC
  magic('erofs', 0x400, 'e2e1f5e0'), // EROFS_SUPER_MAGIC_V1
  magic('squashfs', 0, text('hsqs')), // SQUASHFS_MAGIC
  magic('xfs', 0, text('XFSB')), // XFS_SB_MAGIC
  magic('btrfs', 0x10040, text('_BHRfS_M')), // BTRFS_MAGIC
  magic('f2fs', 0x400, '1020f5f2'), // F2FS_SUPER_MAGIC
  magic('iso9660', 0x8001, text('CD001')), // ISO_STANDARD_ID
  magic('cramfs', 0, '453dcd28'), // CRAMFS_MAGIC
  magic('exfat', 3, text('EXFAT   ')),
  magic('vfat', 0x52, text('FAT32   ')),
  magic('vfat', 0x36, text('FAT16   ')),
  magic('vfat', 0x36, text('FAT12   ')),
  magic('crypto_LUKS', 0, `${text('LUKS')}babe`), // LUKS On-Disk Format, LUKS_MAGIC
];

/** ext2/3/4: bytes of the superblock at 0x400 (Documentation/filesystems/ext4/super.rst). */
const EXT_FEATURES_OFFSET = 0x45c;
const EXT3_FEATURE_COMPAT_HAS_JOURNAL = 0x4;
/** filetype, recover, journal_dev, meta_bg. */
const EXT3_FEATURE_INCOMPAT = 0x1e;
/** sparse_super, large_file, btree_dir. */
const EXT3_FEATURE_RO_COMPAT = 0x7;

/**
 * The file system that lies bare in the image, under mount(8)'s name for it (LUKS: libblkid's, `crypto_LUKS`), told
 * by its magic number alone; `undefined` when there is none that can hold a root.
 */
export function recogniseFileSystem(image: ImageBytes): string | undefined {
  const type = find(MAGIC, image);
  return type === 'ext' ? extVersion(image) : type;
}

function find(candidates: readonly Magic[], image: ImageBytes): string | undefined {
  return candidates.find(({ offset, bytes }) => image.read(offset, bytes.length).equals(bytes))?.type;
}

function extVersion(image: ImageBytes): string {
  const features = image.read(EXT_FEATURES_OFFSET, 12);
  if (features.length < 12) return 'ext2';
  const beyondExt3 =
    (features.readUInt32LE(4) & ~EXT3_FEATURE_INCOMPAT) |
    (features.readUInt32LE(8) & ~EXT3_FEATURE_RO_COMPAT);
  if (beyondExt3 !== 0) return 'ext4';
  return (features.readUInt32LE(0) & EXT3_FEATURE_COMPAT_HAS_JOURNAL) === 0 ? 'ext2' : 'ext3';
}

function magic(type: string, offset: number, hex: string): Magic {
  return { type, offset, bytes: Buffer.from(hex, 'hex') };
}

function text(characters: string): string {
  return Buffer.from(characters, 'latin1').toString('hex');
}
