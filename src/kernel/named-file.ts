import fs from 'node:fs';
import { isSystemError } from './system-error.ts';

/** Read as a file without content: a link to it is how a file of the system is masked. */
const NULL_DEVICE = 0x103;
/** How long a pipe is waited for, in ms. No signal is heard meanwhile. */
const PIPE_PATIENCE = 10_000;
const PAUSE = 10;
const CHUNK_BYTES = 64 * 1024;

/** What pipes have given, by device and inode: no pipe gives it twice, and a download that is tried again asks twice. */
const fromPipes = new Map<string, Buffer>();

/**
 * Reads a small file that a person has named: a key, a secret, certificates. What is named may be anything, and is never waited for
 * without end: a pipe is read when somebody writes to it, as the shell's `<(COMMAND)`, a socket or a device never.
 *
 * @param most bytes that it may have
 * @throws Error that says why not; that of node:fs where there is no such file
 */
export function readNamedFile(path: string, most: number): Buffer {
  const fd = openNamed(path);
  try {
    const stat = fs.fstatSync(fd);
    if (stat.isFile()) return readAll(most, (chunk) => fs.readSync(fd, chunk));
    if (stat.isDirectory()) throw new Error('it is a directory');
    if (stat.isCharacterDevice() && stat.rdev === NULL_DEVICE) return Buffer.alloc(0);
    if (!stat.isFIFO()) throw notReadable();
    const name = `${stat.dev}:${stat.ino}`;
    const content = fromPipes.get(name) ?? readPipe(fd, most);
    if (content.length === 0) throw new Error('it is a pipe, and nobody writes to it');
    fromPipes.set(name, content);
    return content;
  } finally {
    fs.closeSync(fd);
  }
}

function openNamed(path: string): number {
  try {
    // A pipe without a writer must not hold anybody up, and no terminal become that of this process.
    return fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
  } catch (error) {
    throw isSystemError(error, 'ENXIO') ? notReadable() : error;
  }
}

const notReadable = () => new Error('it is neither a file nor a pipe');

/** @param read returns how many bytes it has put into the chunk; 0 at the end */
function readAll(most: number, read: (chunk: Buffer) => number): Buffer {
  const chunks: Buffer[] = [];
  let length = 0;
  for (let count = -1; count !== 0; length += count) {
    if (length > most) throw new Error(`it is longer than ${most} bytes`);
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, most + 1 - length));
    count = read(chunk);
    chunks.push(chunk.subarray(0, count));
  }
  return Buffer.concat(chunks);
}

function readPipe(fd: number, most: number): Buffer {
  const begun = performance.now();
  return readAll(most, (chunk) => {
    for (;;) {
      try {
        return fs.readSync(fd, chunk);
      } catch (error) {
        if (!isSystemError(error, 'EAGAIN')) throw error;
        if (performance.now() - begun > PIPE_PATIENCE) {
          throw new Error(`it is a pipe that did not end within ${PIPE_PATIENCE / 1000} seconds`);
        }
      }
      Bun.sleepSync(PAUSE);
    }
  });
}
