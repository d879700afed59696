import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { printable } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import type { Source } from './source.ts';

const CHUNK_BYTES = 256 * 1024;
/** How long to read before others have their turn, in ms. */
const TURN = 50;

/**
 * The path that a `file:` URL names.
 *
 * @throws RdpullError bad-url
 */
export function pathOfFileUrl(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new RdpullError(
      'bad-url',
      `${printable(url)} does not name a file of this machine`,
      'write it as file:///PATH, with special characters percent-encoded',
      { cause: error },
    );
  }
}

/** A file of this machine as a source. */
export function openFileSource(url: string): Source {
  const path = pathOfFileUrl(url);
  let fd: number;
  let stat: fs.Stats;
  try {
    // A fifo without a writer must not hold anybody up.
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    stat = fs.fstatSync(fd);
  } catch (error) {
    throw readError(path, error);
  }
  let open = true;
  function close(): void {
    if (open) fs.closeSync(fd);
    open = false;
  }
  if (!stat.isFile()) {
    close();
    throw new RdpullError(
      'file-unreadable',
      `${printable(path)} is not a regular file`,
      'name an image file',
    );
  }
  return { url, size: stat.size, lastModified: stat.mtime, body: chunksOf(fd, path), close };
}

async function* chunksOf(fd: number, path: string): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  let rested = performance.now();
  for (;;) {
    // Reading never waits here, and would leave signals and progress no turn.
    if (performance.now() - rested > TURN) {
      await new Promise((resolve) => setImmediate(resolve));
      rested = performance.now();
    }
    let length: number;
    try {
      length = fs.readSync(fd, buffer, 0, CHUNK_BYTES, null);
    } catch (error) {
      throw readError(path, error);
    }
    if (length === 0) return;
    yield buffer.subarray(0, length);
  }
}

function readError(path: string, error: unknown): RdpullError {
  if (isSystemError(error, 'ENOENT', 'ENOTDIR')) {
    return new RdpullError('file-not-found', `there is no file ${printable(path)}`, 'check the path', {
      cause: error,
    });
  }
  const reason = reasonOf(error);
  return new RdpullError(
    'file-unreadable',
    `${printable(path)} cannot be read: ${reason}`,
    'check its permissions, and the disk',
    { cause: error },
  );
}
