import fs from 'node:fs';
import { RdpullError, reasonOf } from './rdpull-error.ts';

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

/** How long a reader that takes nothing is waited for, in ms: long for a result, short for a message. */
const RESULT_PATIENCE = 60_000;
const MESSAGE_PATIENCE = 1000;
const PAUSE = 10;

/**
 * Writes what the command was called for.
 *
 * @throws RdpullError storage-failed when it cannot be written
 */
export function writeResult(text: string): void {
  try {
    writeWhole(STANDARD_OUTPUT, text, RESULT_PATIENCE);
  } catch (error) {
    const reason = reasonOf(error);
    throw new RdpullError(
      'storage-failed',
      `the result cannot be written to standard output: ${reason}`,
      'check where standard output leads to',
      { cause: error },
    );
  }
}

/** Writes to standard error. A message that nobody can read is no reason for the work to fail. */
export function writeMessage(text: string): void {
  try {
    writeWhole(STANDARD_ERROR, text, MESSAGE_PATIENCE);
  } catch {
    // There is no other place to say so.
  }
}

/** The columns of the terminal at standard error; undefined when it is none, or a dumb one. */
export function terminalColumns(): number | undefined {
  // Asked first, because making process.stderr takes longer than all the rest of a small pull's start.
  if (!isCharacterDevice(STANDARD_ERROR)) return undefined;
  if (process.stderr.isTTY !== true || process.env['TERM'] === 'dumb') return undefined;
  // A serial line says 0: it does not know.
  return process.stderr.columns || 80;
}

function isCharacterDevice(fd: number): boolean {
  try {
    return fs.fstatSync(fd).isCharacterDevice();
  } catch {
    // It is closed.
    return false;
  }
}

/** A pipe that is set to non-blocking takes a part only, or nothing yet. */
function writeWhole(fd: number, text: string, patience: number): void {
  const bytes = new TextEncoder().encode(text);
  let waited = 0;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += fs.writeSync(fd, bytes, done);
    } catch (error) {
      const again = error instanceof Error && 'code' in error && error.code === 'EAGAIN';
      if (!again || waited >= patience) throw error;
      Bun.sleepSync(PAUSE);
      waited += PAUSE;
    }
  }
}
