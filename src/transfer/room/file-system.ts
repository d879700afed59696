import fs from 'node:fs';
import path from 'node:path';
import { RAMFS_MAGIC, TMPFS_MAGIC } from '../../kernel/tmpfs.ts';

/** The file system that a directory lies on. Bytes. */
export interface FileSystem {
  /** The directory that it is mounted on; of one that is mounted inside itself, the highest. */
  readonly mountPoint: string;
  readonly kind: 'tmpfs' | 'ramfs' | 'disk';
  /** Infinity for one without a limit. */
  readonly total: number;
  readonly used: number;
  /** What this process may still write. */
  readonly free: number;
  /** Files and directories that it can hold; Infinity for one that does not count them. */
  readonly inodes: number;
  readonly usedInodes: number;
}

/** @throws Error of Node's fs */
export function inspectFileSystem(directory: string): FileSystem {
  const { type, bsize, blocks, bfree, bavail, files, ffree } = fs.statfsSync(directory);
  const kind = type === TMPFS_MAGIC ? 'tmpfs' : type === RAMFS_MAGIC ? 'ramfs' : 'disk';
  // tmpfs without a limit, and ramfs, report zeros.
  const unlimited = kind !== 'disk' && blocks === 0;
  const reachable = process.geteuid?.() === 0 ? bfree : bavail;
  return {
    mountPoint: mountPointOf(directory),
    kind,
    total: unlimited ? Number.POSITIVE_INFINITY : blocks * bsize,
    used: (blocks - bfree) * bsize,
    free: unlimited ? Number.POSITIVE_INFINITY : reachable * bsize,
    // btrfs and its like make inodes as they go, and report zeros.
    inodes: files === 0 ? Number.POSITIVE_INFINITY : files,
    usedInodes: files - ffree,
  };
}

function mountPointOf(directory: string): string {
  let top = fs.realpathSync(directory);
  const { dev } = fs.statSync(top);
  for (;;) {
    const parent = path.dirname(top);
    if (parent === top || fs.statSync(parent).dev !== dev) return top;
    top = parent;
  }
}
