import { constants } from 'node:os';

/** Reversed, so that of two names of a number the first one stays: EAGAIN rather than EWOULDBLOCK. */
const errnoNames = new Map(
  Object.entries(constants.errno)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/** A system call that failed, before a stage has said what that means for the user. `code` is like Node's own. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly syscall: string;
  readonly errno: number;
  readonly code: string;

  constructor(syscall: string, errno: number) {
    const code = errnoNames.get(errno) ?? `errno ${errno}`;
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

/** What a failed call says of itself, without the path that it was for: `ENOENT: no such file or directory`. */
export function reasonWithoutPath(error: unknown): string {
  return error instanceof Error ? error.message.replace(/, \w+ '.*$/s, '') : String(error);
}
