import fs from 'node:fs';
import { reasonWithoutPath } from '../kernel/system-error.ts';
import { RAMFS_MAGIC, TMPFS_MAGIC } from '../kernel/tmpfs.ts';

/** A directory on a local file system, where images outlive the boot that has pulled them. */
export interface DiskCache {
  readonly root: string;
  /** Of one that cannot be written to, good images are used as they are. */
  readonly isWritable: boolean;
}

/** The directory, or why it cannot be used, as the end of a sentence that starts with it. */
export function openDiskCache(root: string): DiskCache | { readonly defect: string } {
  try {
    const stat = fs.statSync(root, { throwIfNoEntry: false });
    if (stat === undefined) return { defect: 'is not there' };
    if (!stat.isDirectory()) return { defect: 'is no directory' };
    const { type } = fs.statfsSync(root);
    // Where the disk is missing, its mount point is there nevertheless.
    if (type === TMPFS_MAGIC || type === RAMFS_MAGIC)
      return { defect: 'lies in memory, which no boot outlives: no disk is mounted there' };
    return { root, isWritable: isWritable(root) };
  } catch (error) {
    return { defect: `cannot be read: ${reasonWithoutPath(error)}` };
  }
}

/** Root may write wherever the file system can be written to. */
function isWritable(directory: string): boolean {
  try {
    fs.accessSync(directory, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
