import { dlopen, type FFIFunction, ptr, read } from 'bun:ffi';
import { isSystemError, SystemCallError } from './system-error.ts';

/**
 * The way into glibc, for the other files of this folder. Each of them opens just the functions it needs, so that
 * a command binds nothing it does not call.
 */
const LIBC = 'libc.so.6';

/**
 * Opens `symbols` of glibc. Variadic functions (ioctl, openat, syscall) are declared with the arguments used here: the System V ABI of
 * x86-64 and AAPCS64 on Linux pass those in the same registers either way. (Apple's arm64 puts them on the stack.)
 */
export function libc<const Symbols extends Record<string, FFIFunction>>(symbols: Symbols) {
  return dlopen(LIBC, symbols).symbols;
}

const errnoLocation = libc({ __errno_location: { args: [], returns: 'ptr' } }).__errno_location();

/**
 * Passes `result` on, or throws what errno says. Must directly follow the call: nothing else may run in between.
 *
 * @throws SystemCallError when `result` is negative
 */
export function checked(syscall: string, result: number | bigint): number {
  if (result >= 0) return Number(result);
  throw new SystemCallError(syscall, errno());
}

/** What errno says, in this thread. Must directly follow the call that failed. For calls whose failures are too many to be thrown. */
export function errno(): number {
  if (errnoLocation === null) throw new Error('__errno_location() returned NULL');
  return read.i32(errnoLocation, 0);
}

/** Repeats an interrupted call (EINTR), as every slow system call must be. */
export function retryInterrupted<T>(call: () => T): T {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!isSystemError(error, 'EINTR')) throw error;
    }
  }
}

/** `text` in UTF-8. `Buffer.from()` does the same: its first call takes as long as all else that the generator does with a file. */
export function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** `text` as a NUL-terminated string. Keep the returned array referenced until the call has returned. */
export function cString(text: string | Uint8Array): Uint8Array {
  const bytes = typeof text === 'string' ? encoded(text) : text;
  if (bytes.includes(0)) throw new Error('a string for the kernel cannot hold a NUL byte');
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** The address of a buffer, for pointer fields of C structures; NULL for an empty one. Bun runs on 64-bit machines only. */
export function addressOf(buffer: Uint8Array | BigUint64Array): bigint {
  return buffer.byteLength === 0 ? 0n : BigInt(ptr(buffer));
}
