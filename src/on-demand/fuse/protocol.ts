/**
 * The messages of FUSE that a file system of one file sees: include/uapi/linux/fuse.h, with the header's names and spelling, version
 * 7.36 (Linux 5.17). Older kernels of major version 7 say less in the same places, newer ones more, and both tell so.
 */

export const FUSE_KERNEL_VERSION = 7;
export const FUSE_KERNEL_MINOR_VERSION = 36;

/** The node of the topmost directory. */
export const FUSE_ROOT_ID = 1;

/** What a buffer for messages has to hold at least. */
export const FUSE_MIN_READ_BUFFER = 8192;

export const FUSE_OPCODE = {
  FUSE_LOOKUP: 1,
  FUSE_FORGET: 2,
  FUSE_GETATTR: 3,
  FUSE_OPEN: 14,
  FUSE_READ: 15,
  FUSE_STATFS: 17,
  FUSE_RELEASE: 18,
  FUSE_INIT: 26,
  FUSE_INTERRUPT: 36,
  FUSE_BATCH_FORGET: 42,
} as const;

/** Flags of FUSE_INIT. */
export const FUSE_ASYNC_READ = 1 << 0;
export const FUSE_ASYNC_DIO = 1 << 15;
export const FUSE_MAX_PAGES = 1 << 22;

/** Flags of FUSE_OPEN: what the page cache has of the file stays good; no FUSE_FLUSH when it is closed (since 7.35). */
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_NOFLUSH = 1 << 5;

/** struct fuse_in_header: len, opcode, unique, nodeid; then uid, gid, pid and padding, which nobody asks for. */
export const IN_HEADER = { len: 0, opcode: 4, unique: 8, nodeid: 16, size: 40 } as const;

/** struct fuse_out_header */
export const OUT_HEADER = { len: 0, error: 4, unique: 8, size: 16 } as const;

/** struct fuse_init_in, before 7.36: longer since then. */
export const INIT_IN = { major: 0, minor: 4, max_readahead: 8, flags: 12, size: 16 } as const;

/** struct fuse_init_out, since 7.23. */
export const INIT_OUT = {
  major: 0,
  minor: 4,
  max_readahead: 8,
  flags: 12,
  max_background: 16,
  congestion_threshold: 18,
  max_write: 20,
  time_gran: 24,
  max_pages: 28,
  size: 64,
} as const;

/** struct fuse_read_in */
export const READ_IN = { offset: 8, size: 16, length: 40 } as const;

/** struct fuse_open_in: flags as of open(2). */
export const OPEN_IN = { flags: 0, size: 8 } as const;

/** struct fuse_open_out: a file handle, which stays 0. */
export const OPEN_OUT = { open_flags: 8, size: 16 } as const;

/** struct fuse_interrupt_in */
export const INTERRUPT_IN = { unique: 0, size: 8 } as const;

/** struct fuse_attr */
export const ATTR = {
  ino: 0,
  size: 8,
  blocks: 16,
  mode: 60,
  nlink: 64,
  blksize: 80,
  length: 88,
} as const;

/** struct fuse_entry_out: struct fuse_attr at its end. */
export const ENTRY_OUT = { nodeid: 0, entry_valid: 16, attr_valid: 24, attr: 40, size: 128 } as const;

/** struct fuse_attr_out: likewise. */
export const ATTR_OUT = { attr_valid: 0, attr: 16, size: 104 } as const;

/** struct fuse_statfs_out */
export const STATFS_OUT = { blocks: 0, files: 24, bsize: 40, namelen: 44, frsize: 48, size: 80 } as const;
