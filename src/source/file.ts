import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { isFileUrl } from '../request/url.ts';
import type { ByteRange, RangeRequest, Source } from './source.ts';

const CHUNK_BYTES = 256 * 1024;
/** How long to read before others have their turn, in ms. */
const TURN = 50;

/**
 * The path that a `file:` URL names.
 *
 * @throws RdpullError bad-url
 */
export function pathOfFileUrl(url: string): string {
  let path: string;
  try {
    path = Bun.fileURLToPath(url);
  } catch (error) {
    throw new RdpullError(
      'bad-url',
      `${shownUrl(url)} does not name a file of this machine`,
      'write it as file:///PATH, with special characters percent-encoded',
      { cause: error },
    );
  }
  // The runtime makes nothing at all of what is not UTF-8.
  if (path !== '' && !path.includes('\0')) return path;
  throw new RdpullError(
    'bad-url',
    `${shownUrl(url)} does not name a file of this machine: what is percent-encoded in it is not UTF-8, or a NUL`,
    'give the file another name, or make a link to it (ln -s) that has one',
  );
}

/**
 * Makes sure of a file of this machine before what vouches for it is looked for: that it is missing is what is to be told.
 *
 * @param url anything; of servers nothing is asked
 * @throws RdpullError bad-url, file-not-found, file-unreadable
 */
export function requireFile(url: string): void {
  if (isFileUrl(url)) openFileSource(url).close();
}

/** A file of this machine, or a part of it, as a source. */
export function openFileSource(url: string, wanted?: RangeRequest): Source {
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
  const last = stat.size - 1;
  const range =
    wanted !== undefined && wanted.from <= last
      ? { from: wanted.from, to: Math.min(wanted.to ?? last, last) }
      : undefined;
  return {
    url,
    size: stat.size,
    lastModified: stat.mtime,
    validator: undefined,
    entityTag: undefined,
    opaqueTag: undefined,
    codings: [],
    acceptsRanges: true,
    range,
    body: chunksOf(fd, path, range),
    close,
  };
}

async function* chunksOf(fd: number, path: string, range?: ByteRange): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  let position = range?.from ?? 0;
  const end = range === undefined ? Number.POSITIVE_INFINITY : range.to + 1;
  let rested = performance.now();
  while (position < end) {
    // Reading never waits here, and would leave signals and progress no turn.
    if (performance.now() - rested > TURN) {
      await new Promise((resolve) => setImmediate(resolve));
      rested = performance.now();
    }
    let length: number;
    try {
      length = fs.readSync(fd, buffer, 0, Math.min(CHUNK_BYTES, end - position), position);
    } catch (error) {
      throw readError(path, error);
    }
    if (length === 0) return;
    position += length;
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
