import { type Pointer, toArrayBuffer } from 'bun:ffi';
import { checked, libc } from './libc.ts';

/** asm-generic/mman-common.h, linux/mman.h */
const PROT_READ = 0x1;
const PROT_WRITE = 0x2;
const MAP_SHARED = 0x01;

const { mmap, munmap } = libc({
  mmap: { args: ['ptr', 'u64', 'i32', 'i32', 'i32', 'i64'], returns: 'i64' },
  munmap: { args: ['u64', 'u64'], returns: 'i32' },
});

/**
 * A file as memory: mmap(2) with MAP_SHARED. What one thread or process writes, all others see, and who reads or writes the
 * file itself. Each thread maps it for itself; the descriptor may be closed meanwhile.
 *
 * A byte that cannot be had ends the process (SIGBUS): the file must stay as long as it is, and on a file system that can be
 * full, room must be there for what is written (fallocate(2)), or written with pwrite(2) instead.
 */
export class SharedMapping implements Disposable {
  /** Where it begins: at a page. */
  readonly address: number;
  /** Bytes. */
  readonly length: number;
  #isMapped = true;

  private constructor(fd: number, length: number, protection: number) {
    this.address = checked('mmap', mmap(null, length, protection, MAP_SHARED, fd, 0));
    this.length = length;
  }

  /**
   * @param fd opened for reading, and for writing where `access` says so
   * @param length bytes; at least 1
   * @throws SystemCallError
   */
  static open(fd: number, length: number, access: 'read' | 'write'): SharedMapping {
    return new SharedMapping(fd, length, access === 'write' ? PROT_READ | PROT_WRITE : PROT_READ);
  }

  /**
   * A part of it: no copy, and good until this is disposed of. There is no view of the whole, because an ArrayBuffer has 4 GiB
   * at most.
   *
   * @throws RangeError for what does not lie in it
   */
  view(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const address = this.addressOf(offset, length);
    return new Uint8Array(length === 0 ? new ArrayBuffer(0) : toArrayBuffer(address as Pointer, 0, length));
  }

  /** Where a part of it lies, for system calls. @throws RangeError for what does not lie in it */
  addressOf(offset: number, length: number): number {
    if (!this.#isMapped || offset < 0 || length < 0 || offset + length > this.length) {
      throw new RangeError(`no ${length} bytes at ${offset} in a mapping of ${this.length}`);
    }
    return this.address + offset;
  }

  /** Views must not be used any more. */
  [Symbol.dispose](): void {
    if (!this.#isMapped) return;
    this.#isMapped = false;
    checked('munmap', munmap(this.address, this.length));
  }
}
