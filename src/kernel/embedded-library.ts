import { dlopen, type FFIFunction, ptr } from 'bun:ffi';
import fs from 'node:fs';
import { checked, cString, libc } from './libc.ts';

/** linux/memfd.h */
const MFD_CLOEXEC = 0x0001;

/**
 * Loads a shared library that is embedded in the executable, without a temporary file: an initrd may have no
 * writable, executable `/tmp`. The bytes go into a memfd(2), which the dynamic loader opens by its `/proc` name.
 *
 * @throws SystemCallError when the kernel refuses the memfd
 */
export function openEmbeddedLibrary<const Symbols extends Record<string, FFIFunction>>(
  path: string,
  symbols: Symbols,
) {
  const { memfd_create } = libc({ memfd_create: { args: ['ptr', 'u32'], returns: 'i32' } });
  const name = cString(path.slice(path.lastIndexOf('/') + 1));
  const fd = checked('memfd_create', memfd_create(ptr(name), MFD_CLOEXEC));
  fs.writeFileSync(fd, fs.readFileSync(path));
  // The descriptor stays open: the loader recognises libraries by path, and a later library that got the same
  // descriptor number would be taken for this one.
  return dlopen(`/proc/self/fd/${fd}`, symbols).symbols;
}
