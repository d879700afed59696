import { dlopen, type FFIFunction, ptr } from 'bun:ffi';
import fs from 'node:fs';
import { checked, cString, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** linux/memfd.h */
const MFD_CLOEXEC = 0x0001;

/**
 * Loads a shared library that is embedded in the executable, without a temporary file: an initrd may have no
 * writable, executable `/tmp`. The bytes go into a memfd(2), which the dynamic loader opens by its `/proc` name.
 *
 * @throws SystemCallError when the kernel refuses the memfd; Error of the file system when it cannot be opened again
 */
export function openEmbeddedLibrary<const Symbols extends Record<string, FFIFunction>>(
  path: string,
  symbols: Symbols,
) {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const content = fs.readFileSync(path);
  const fd = findMemoryFile(name, content.length) ?? createMemoryFile(name, content);
  // The descriptor stays open: the loader recognises libraries by path, and a later library that got the same
  // descriptor number would be taken for this one.
  const opened = `/proc/self/fd/${fd}`;
  try {
    return dlopen(opened, symbols).symbols;
  } catch (error) {
    // The loader has words, and no error number: whoever opens the file himself gets that, when there are too few descriptors.
    fs.closeSync(fs.openSync(opened, 'r'));
    throw error;
  }
}

/**
 * What an earlier worker of this process has made, once it is complete: that descriptor may be written to. Others of the same file may not,
 * and are gone in a moment: the loader has them, while it opens the library in another thread.
 */
function findMemoryFile(name: string, length: number): number | undefined {
  return fs
    .readdirSync('/proc/self/fd')
    .map(Number)
    .find((fd) => {
      const link = `/proc/self/fd/${fd}`;
      try {
        return (
          fs.readlinkSync(link) === `/memfd:${name} (deleted)` &&
          (fs.lstatSync(link).mode & fs.constants.S_IWUSR) !== 0 &&
          fs.fstatSync(fd).size === length
        );
      } catch (error) {
        // Another thread has closed it.
        if (isSystemError(error, 'ENOENT', 'EBADF')) return false;
        throw error;
      }
    });
}

function createMemoryFile(name: string, content: Uint8Array): number {
  const { memfd_create } = libc({ memfd_create: { args: ['ptr', 'u32'], returns: 'i32' } });
  const text = cString(name);
  const fd = checked('memfd_create', memfd_create(ptr(text), MFD_CLOEXEC));
  fs.writeFileSync(fd, content);
  return fd;
}
