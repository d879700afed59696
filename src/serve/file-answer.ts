import fs from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { entityTag } from './entity-tag.ts';
import { fileState, isUntouched } from './file-state.ts';
import { mediaType } from './media-type.ts';
import { precondition, rangeHolds } from './preconditions.ts';
import { requestedPart } from './range.ts';
import { isChunkPath } from './request-path.ts';
import type { ServedFile } from './served-directory.ts';

const read = promisify(fs.read);

const CHUNK = 256 * 1024;

/** How long a client may take nothing, in ms. */
const SILENCE = 300_000;

/** Hears how far the body of an answer is. */
export interface BodyObserver {
  /** The bytes from `start` to `end` of `size` are sent. */
  began(part: { readonly start: number; readonly end: number; readonly size: number }): void;
  /** So many of them have been handed to the kernel. */
  sent(bytes: number): void;
}

/** What a file is answered with: the fields of a head, and the part of it that is the body. */
export interface FileAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number>>;
  /** In bytes; undefined when there is no body. */
  readonly part: { readonly start: number; readonly end: number } | undefined;
}

/** A year, the most that means anything; and that nobody need ask again meanwhile (RFC 8246). */
const FOR_EVER = 'public, max-age=31536000, immutable';

/** Decides by the conditions and the range of a request what of the file at `names` is sent: RFC 9110, sections 13 and 14. */
export function fileAnswer(request: IncomingMessage, file: ServedFile, names: readonly string[]): FileAnswer {
  const { size, modified } = file.state;
  const tag = entityTag(file.state);
  const milliseconds = Number(modified / 1_000_000n);
  const common = {
    'accept-ranges': 'bytes',
    // Whoever keeps a copy is to ask whether it is still the same: an image is built many times a day. A chunk is called by what it is.
    'cache-control': isChunkPath(names) ? FOR_EVER : 'no-cache',
    etag: tag,
    'last-modified': new Date(milliseconds).toUTCString(),
  };
  const condition = precondition(request.headers, { tag, modified: milliseconds });
  if (condition === 'not modified') return { status: 304, headers: common, part: undefined };
  if (condition === 'failed') {
    return { status: 412, headers: { ...common, 'content-length': 0 }, part: undefined };
  }
  const type = { 'content-type': mediaType(names.at(-1) ?? ''), 'x-content-type-options': 'nosniff' };
  // Only GET has a range (RFC 9110, section 14.2).
  const isPart = request.method === 'GET' && rangeHolds(request.headers, tag);
  const part = isPart ? requestedPart(request.headers.range, size) : undefined;
  if (part === 'unsatisfiable') {
    const headers = { ...common, 'content-range': `bytes */${size}`, 'content-length': 0 };
    return { status: 416, headers, part: undefined };
  }
  if (part === undefined) {
    const headers = { ...common, ...type, 'content-length': size };
    return { status: 200, headers, part: { start: 0, end: size } };
  }
  const { start, end } = part;
  return {
    status: 206,
    headers: {
      ...common,
      ...type,
      'content-range': `bytes ${start}-${end - 1}/${size}`,
      'content-length': end - start,
    },
    part,
  };
}

/**
 * Sends a part of a file. When the file changes meanwhile, the connection is cut: the client must never take the beginning
 * of one image and the end of another for one of them.
 *
 * @returns why not all of it was sent; undefined when it was
 */
export async function sendPart(
  response: ServerResponse,
  file: ServedFile,
  { start, end }: { readonly start: number; readonly end: number },
  observer: BodyObserver,
): Promise<string | undefined> {
  observer.began({ start, end, size: file.state.size });
  // What is written is kept until it is sent: two buffers take turns.
  const buffers = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)] as const;
  for (let offset = start, turn = 0; offset < end; turn++) {
    const buffer = buffers[turn % 2 === 0 ? 0 : 1];
    const { bytesRead } = await read(file.fd, buffer, 0, Math.min(CHUNK, end - offset), offset);
    const now = fileState(fs.fstatSync(file.fd, { bigint: true }));
    if (bytesRead === 0 || !isUntouched(file.state, now)) {
      response.destroy();
      return 'the file has changed while it was sent';
    }
    if (response.destroyed) return 'the client hung up';
    const isTaken = await written(response, buffer.subarray(0, bytesRead));
    if (!isTaken) {
      response.destroy();
      return response.writableEnded ? undefined : 'the client hung up, or took nothing for 5 minutes';
    }
    offset += bytesRead;
    observer.sent(offset - start);
  }
  response.end();
  return undefined;
}

/** Resolves when the bytes are no longer needed; to false, when they never got away. */
function written(response: ServerResponse, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isTaken: boolean) => {
      clearTimeout(timer);
      response.off('close', lost);
      resolve(isTaken);
    };
    const lost = () => end(false);
    const timer = setTimeout(lost, SILENCE);
    response.once('close', lost);
    response.write(bytes, (error) => end(error === undefined || error === null));
  });
}
