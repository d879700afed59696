import { printable } from '../../../console/printable.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { isSystemError, SystemCallError } from '../../../kernel/system-error.ts';
import { storageError } from '../storage-error.ts';

/**
 * What the calls for one name below an open directory fail with only when the name, or the directory, is not what the
 * extractor made: somebody replaced or removed it, or the file system takes two names of the archive for one.
 */
const GONE = ['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'EEXIST', 'ESTALE'];

/**
 * What a system call that failed while unpacking means for the user; other errors are passed on as they are.
 *
 * @param target the target directory
 * @param member the member at hand, printable
 * @param written bytes of file content so far
 */
export function unpackError(error: unknown, target: string, member: string, written: number): unknown {
  if (error instanceof RdpullError || !(error instanceof Error) || !('syscall' in error)) return error;
  if (isSystemError(error, 'EPERM') && process.geteuid?.() !== 0) {
    return new RdpullError(
      'not-root',
      `cannot unpack ${member} into ${printable(target)}: only root may give it its owner, mode and attributes`,
      'run rdpull as root',
      { cause: error },
    );
  }
  if (error instanceof SystemCallError && isSystemError(error, ...GONE)) {
    return new RdpullError(
      'storage-failed',
      `cannot unpack ${member}: what was unpacked in ${printable(target)} before it is no longer there (${error.message})`,
      'let no other process change the directory meanwhile, and choose a file system that tells upper from lower case',
      { cause: error },
    );
  }
  const { code, message, hint } = storageError(target, written, error);
  return new RdpullError(code, `cannot unpack ${member}: ${message}`, hint, { cause: error });
}
