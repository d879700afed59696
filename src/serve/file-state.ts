import type { BigIntStats } from 'node:fs';

/** What tells one content of a file from another, as far as stat(2) does. */
export interface FileState {
  /** Device and inode. */
  readonly identity: string;
  /** In bytes. */
  readonly size: number;
  /** In ns since 1970. */
  readonly modified: bigint;
  /** Of the inode, in ns since 1970: moves also when somebody sets the time of modification back, as build tools do. */
  readonly changed: bigint;
}

export function fileState({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  return { identity: `${dev}:${ino}`, size: Number(size), modified: mtimeNs, changed: ctimeNs };
}

/** A text that is the same only for the same state. */
export function stateKey({ identity, size, modified, changed }: FileState): string {
  return `${identity}:${size}:${modified}:${changed}`;
}

/**
 * Whether an open file holds what it held. The time of change of the inode does not count: it moves when the file loses
 * its name to a new one, and then it still holds every byte.
 */
export function isUntouched(one: FileState, other: FileState): boolean {
  return one.size === other.size && one.modified === other.modified;
}
