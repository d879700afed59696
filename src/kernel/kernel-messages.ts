import fs from 'node:fs';
import { checked, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** One record of the kernel's log each read: Documentation/ABI/testing/dev-kmsg. */
const KMSG = '/dev/kmsg';

/** Bytes of a record, at most. */
const RECORD_MAX = 8192;

/** More would be of others. */
const RECORDS_MAX = 200;

const SEEK_END = 2;
const { lseek } = libc({ lseek: { args: ['i32', 'i64', 'i32'], returns: 'i64' } });

/** What the kernel says from now on. */
export interface KernelMessages extends Disposable {
  /** The lines since the last time; none for whom the log is closed. */
  read(): readonly string[];
}

export function openKernelMessages(): KernelMessages {
  let fd: number | undefined;
  try {
    fd = fs.openSync(KMSG, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    checked('lseek(/dev/kmsg)', lseek(fd, 0n, SEEK_END));
  } catch (error) {
    // A sandbox, or a container: nothing hangs on it.
    if (fd !== undefined) fs.closeSync(fd);
    fd = undefined;
    if (!isSystemError(error, 'EACCES', 'EPERM', 'ENOENT', 'EINVAL', 'ESPIPE', 'ENXIO')) throw error;
  }
  return {
    read: () => (fd === undefined ? [] : readRecords(fd)),
    [Symbol.dispose]: () => {
      if (fd !== undefined) fs.closeSync(fd);
    },
  };
}

function readRecords(fd: number): string[] {
  const lines: string[] = [];
  const buffer = Buffer.alloc(RECORD_MAX);
  while (lines.length < RECORDS_MAX) {
    try {
      const length = fs.readSync(fd, buffer);
      if (length === 0) break;
      // `6,1234,5678,-;text`, and lines behind it that begin with a space.
      const [first = ''] = buffer.toString('utf8', 0, length).split('\n');
      lines.push(first.slice(first.indexOf(';') + 1));
    } catch (error) {
      // EPIPE: records were overwritten meanwhile; the next read goes on behind them.
      if (isSystemError(error, 'EPIPE')) continue;
      if (isSystemError(error, 'EAGAIN')) break;
      throw error;
    }
  }
  return lines;
}
