import { printable } from '../../../console/printable.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import { storageError } from '../storage-error.ts';

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
  const { code, message, hint } = storageError(target, written, error);
  return new RdpullError(code, `cannot unpack ${member}: ${message}`, hint, { cause: error });
}
