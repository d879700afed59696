import fs from 'node:fs';
import { checked, libc, retryInterrupted } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** include/uapi/asm-generic/ioctls.h, include/uapi/asm-generic/termbits-common.h. */
const TCFLSH = 0x540bn;
const TIOCOUTQ = 0x5411n;
const TIOCGWINSZ = 0x5413n;
const TCOFLUSH = 1;

/** struct winsize: rows, columns, and two that nobody sets. */
const WINSIZE_LENGTH = 4;
const WINSIZE_COLUMNS = 1;

const withPointer = libc({ ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' } });
const withNumber = libc({ ioctl: { args: ['i32', 'u64', 'i32'], returns: 'i32' } });

/** A terminal that is written to without ever waiting for it. It does not become the controlling one. */
export class ConsoleDevice implements Disposable {
  readonly #descriptor: number;
  /** Major and minor number, as stat(2) has them. */
  readonly number: number;

  /** @throws Error when there is none, or it is no character device */
  constructor(path: string) {
    const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = fs.constants;
    this.#descriptor = fs.openSync(path, O_WRONLY | O_NOCTTY | O_NONBLOCK);
    const stat = fs.fstatSync(this.#descriptor);
    this.number = stat.rdev;
    if (stat.isCharacterDevice()) return;
    this[Symbol.dispose]();
    throw new Error(`${path} is no character device`);
  }

  /** Undefined where nobody has said so, as on a serial line. */
  get columns(): number | undefined {
    const size = new Uint16Array(WINSIZE_LENGTH);
    if (withPointer.ioctl(this.#descriptor, TIOCGWINSZ, size) < 0) return undefined;
    return size[WINSIZE_COLUMNS] || undefined;
  }

  /**
   * Writes what there is room for.
   *
   * @returns how many bytes that were: none when nobody takes what was written before
   * @throws Error when it was hung up
   */
  write(bytes: Uint8Array): number {
    try {
      return retryInterrupted(() => fs.writeSync(this.#descriptor, bytes));
    } catch (error) {
      if (isSystemError(error, 'EAGAIN')) return 0;
      throw error;
    }
  }

  /** How many bytes were written, but not sent. @throws SystemCallError */
  get unsent(): number {
    const count = new Int32Array(1);
    checked('ioctl TIOCOUTQ', withPointer.ioctl(this.#descriptor, TIOCOUTQ, count));
    return count[0] ?? 0;
  }

  /** Forgets what was not sent: closing a serial line waits for that, up to half a minute. */
  discard(): void {
    withNumber.ioctl(this.#descriptor, TCFLSH, TCOFLUSH);
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#descriptor);
  }
}
