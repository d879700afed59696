import { checked, cString, encoded, errno, libc } from './libc.ts';
import { isSystemError, SystemCallError } from './system-error.ts';

/*
 * What the generator does with files. It runs at every daemon-reload, and node:fs would be a fifth of its instructions: the
 * runtime has to read that module first, and these few functions of glibc it only has to find.
 */
const openCalls = () =>
  libc({
    open: { args: ['ptr', 'i32', 'u32'], returns: 'i32' },
    read: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
    write: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
    close: { args: ['i32'], returns: 'i32' },
    access: { args: ['ptr', 'i32'], returns: 'i32' },
    mkdir: { args: ['ptr', 'u32'], returns: 'i32' },
    symlink: { args: ['ptr', 'ptr'], returns: 'i32' },
    unlink: { args: ['ptr'], returns: 'i32' },
  });

let opened: ReturnType<typeof openCalls> | undefined;

/** Most commands come by here and need none of them. */
function calls(): ReturnType<typeof openCalls> {
  opened ??= openCalls();
  return opened;
}

/** include/uapi/asm-generic/fcntl.h */
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_NOCTTY = 0o400;
const O_TRUNC = 0o1000;
const O_CLOEXEC = 0o2000000;
/** unistd.h */
const F_OK = 0;

export function exists(path: string): boolean {
  return calls().access(cString(path), F_OK) === 0;
}

/**
 * The text of a file.
 *
 * @param most bytes that it may have
 * @returns undefined when it has more
 * @throws SystemCallError
 */
export function readSmallFile(path: string, most: number): string | undefined {
  const fd = openedFile(path, O_RDONLY);
  try {
    const buffer = new Uint8Array(most + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length <= most; length += count) {
      const rest = buffer.subarray(length);
      count = checked(`read(${path})`, calls().read(fd, rest, rest.length));
    }
    return length > most
      ? undefined
      : new TextDecoder('utf-8', { ignoreBOM: true }).decode(buffer.subarray(0, length));
  } finally {
    calls().close(fd);
  }
}

/**
 * Makes a file, or gives another text to one that is there.
 *
 * @throws SystemCallError
 */
export function writeSmallFile(path: string, text: string): void {
  const fd = openedFile(path, O_WRONLY | O_CREAT | O_TRUNC);
  try {
    for (let rest = encoded(text); rest.length > 0; ) {
      rest = rest.subarray(checked(`write(${path})`, calls().write(fd, rest, rest.length)));
    }
  } finally {
    calls().close(fd);
  }
}

/**
 * Makes a directory, and those around it, where there is none.
 *
 * @throws SystemCallError
 */
export function makeDirectories(path: string): void {
  try {
    makeDirectory(path);
  } catch (error) {
    const end = path.lastIndexOf('/');
    if (end <= 0 || !isSystemError(error, 'ENOENT')) throw error;
    makeDirectories(path.slice(0, end));
    makeDirectory(path);
  }
}

function makeDirectory(path: string): void {
  if (calls().mkdir(cString(path), 0o777) === 0) return;
  const failure = errno();
  if (!exists(path)) throw new SystemCallError(`mkdir(${path})`, failure);
}

/**
 * Makes a symbolic link, in the place of what is there.
 *
 * @throws SystemCallError
 */
export function makeLink(target: string, path: string): void {
  const link = () => checked(`symlink(${path})`, calls().symlink(cString(target), cString(path)));
  try {
    link();
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
    checked(`unlink(${path})`, calls().unlink(cString(path)));
    link();
  }
}

/** Something that takes lines, as a device of the kernel does: each write is one. */
export class LineDevice {
  readonly #fd: number;

  /** @throws SystemCallError */
  constructor(path: string) {
    this.#fd = openedFile(path, O_WRONLY | O_NOCTTY);
  }

  /** @throws SystemCallError */
  write(line: Uint8Array): void {
    checked('write', calls().write(this.#fd, line, line.length));
  }

  close(): void {
    calls().close(this.#fd);
  }
}

function openedFile(path: string, flags: number): number {
  return checked(`open(${path})`, calls().open(cString(path), flags | O_CLOEXEC, 0o666));
}
