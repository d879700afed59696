import { ptr } from 'bun:ffi';
import { checked, cString, libc } from './libc.ts';

/** fcntl.h */
const AT_FDCWD = -100;

/** linux/fs.h: flags of renameat2(2) */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/**
 * renameat2(2): with RENAME_NOREPLACE it fails when `to` exists, with RENAME_EXCHANGE the two swap names, both
 * atomically.
 *
 * @throws SystemCallError
 */
export function renameWithFlags(from: string, to: string, flags: number): void {
  const { renameat2 } = libc({ renameat2: { args: ['i32', 'ptr', 'i32', 'ptr', 'u32'], returns: 'i32' } });
  const fromPath = cString(from);
  const toPath = cString(to);
  checked('renameat2', renameat2(AT_FDCWD, ptr(fromPath), AT_FDCWD, ptr(toPath), flags));
}
