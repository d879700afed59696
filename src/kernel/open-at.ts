import { checked, cString, libc } from './libc.ts';

const { openat } = libc({ openat: { args: ['i32', 'ptr', 'i32', 'u32'], returns: 'i32' } });

const O_CLOEXEC = 0o2000000; // asm-generic/fcntl.h

/**
 * Opens what `name` is below an open directory. Unlike those of directory-tree.ts this takes a path, and follows links in it.
 *
 * @param flags of open(2), from node:fs where it has them; O_CLOEXEC is added
 * @returns a descriptor, to be closed
 * @throws SystemCallError
 */
export function openAt(directory: number, name: string, flags: number): number {
  return checked('openat', openat(directory, cString(name), flags | O_CLOEXEC, 0));
}
