import { hasMagic } from '../source/magic-number.ts';
import type { ImageBytes } from './image-bytes.ts';

interface Magic {
  readonly type: string;
  /** Bytes from the start of the image. */
  readonly offset: number;
  /** One for each byte. */
  readonly characters: string;
}

/** Where each file system keeps its magic number: include/uapi/linux/magic.h and the file systems' own headers. */
const MAGIC: readonly Magic[] = [
  { type: 'ext', offset: 0x438, characters: '\x53\xef' }, // EXT4_SUPER_MAGIC
  { type: 'erofs', offset: 0x400, characters: '\xe2\xe1\xf5\xe0' }, // EROFS_SUPER_MAGIC_V1
  { type: 'squashfs', offset: 0, characters: 'hsqs' }, // SQUASHFS_MAGIC
  { type: 'xfs', offset: 0, characters: 'XFSB' }, // XFS_SB_MAGIC
  { type: 'btrfs', offset: 0x10040, characters: '_BHRfS_M' }, // BTRFS_MAGIC
  { type: 'f2fs', offset: 0x400, characters: '\x10\x20\xf5\xf2' }, // F2FS_SUPER_MAGIC
  { type: 'iso9660', offset: 0x8001, characters: 'CD001' }, // ISO_STANDARD_ID
  { type: 'cramfs', offset: 0, characters: '\x45\x3d\xcd\x28' }, // CRAMFS_MAGIC
  { type: 'exfat', offset: 3, characters: 'EXFAT   ' },
  { type: 'vfat', offset: 0x52, characters: 'FAT32   ' },
  { type: 'vfat', offset: 0x36, characters: 'FAT16   ' },
  { type: 'vfat', offset: 0x36, characters: 'FAT12   ' },
  { type: 'crypto_LUKS', offset: 0, characters: 'LUKS\xba\xbe' }, // LUKS On-Disk Format, LUKS_MAGIC
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
  return candidates.find(({ offset, characters }) =>
    hasMagic(image.read(offset, characters.length), characters),
  )?.type;
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
