/**
 * The first name of a number: EAGAIN rather than EWOULDBLOCK. node:os is loaded when something has failed: imported, it would be
 * something that the generator loads at every start.
 */
function errnoName(errno: number): string {
  const { errno: numbers } = process.getBuiltinModule('node:os').constants;
  return Object.entries(numbers).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
}

/** A system call that failed, before a stage has said what that means for the user. `code` is like Node's own. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly syscall: string;
  readonly errno: number;
  readonly code: string;

  constructor(syscall: string, errno: number) {
    const code = errnoName(errno);
    super(`${syscall}: ${code}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
  }
}

/** Whether `error` came from the kernel (through us or through Node's fs) with one of these codes, e.g. `ENOSPC`. */
export function isSystemError(error: unknown, ...codes: string[]): error is Error & { code: string } {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** Whether `error` came from the kernel (through us or through Node's fs), with whichever code. */
export function isFromSystemCall(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}

/** What the runtime has no words for: errno(3) calls it "Structure needs cleaning". */
const DAMAGED = 'EUCLEAN: the file system is damaged: check it with fsck';

/** What a failed call says of itself, without the path that it was for: `ENOENT: no such file or directory`. */
export function reasonWithoutPath(error: unknown): string {
  if (isSystemError(error, 'EUCLEAN')) return DAMAGED;
  return error instanceof Error ? error.message.replace(/, \w+ '.*$/s, '') : String(error);
}
