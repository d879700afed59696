import fs from 'node:fs';
import { type BlockDecoder, openBlockDecoder } from '../../../blocks/block-decoder.ts';
import type { Encoding } from '../../../blocks/block-map.ts';
import { requireChunk } from '../../../blocks/chunk-decoder.ts';
import { silenceLibraries } from '../../../console/library-output.ts';
import { printable } from '../../../console/printable.ts';
import { RdpullError, reasonOf } from '../../../console/rdpull-error.ts';
import { cloneRange } from '../../../kernel/clone-range.ts';
import { punchHole } from '../../../kernel/punch-hole.ts';
import { reserveRoom } from '../../../kernel/reserve-room.ts';
import { SharedMapping } from '../../../kernel/shared-mapping.ts';
import { startWriteback } from '../../../kernel/writeback.ts';
import { dataIn } from '../../../transfer/sink/data-in.ts';
import { storageError } from '../../../transfer/sink/storage-error.ts';
import { PAGE_BYTES } from '../../cache/present-pages.ts';
import type { FromWorker, PlacedBlock, PlaceOptions, PlaceOutcome, ToWorker } from './messages.ts';
import { writeData } from './write-data.ts';

/** The worker thread that makes the bytes of blocks, and puts them where they belong in the cache. */
declare const self: Worker;

silenceLibraries();

/**
 * What a block may be long that is decoded beside the cache and written to it, in bytes. One that is longer is decoded in the cache
 * itself, which takes its room, zeros or not, until they are given back. A chunk never is: nothing of one that is another one is in the
 * file then, and all that was mapped of the image would count as memory of this process.
 */
const BESIDE_BYTES = 2 * 1024 * 1024;

/** How many new bytes there are when they are sent on to the disk, so that the end has less to wait for. */
const FLUSH_BYTES = 16 * 1024 * 1024;

interface Place extends PlaceOptions {
  readonly decoder: BlockDecoder;
  output: Buffer;
  mapping: SharedMapping | undefined;
  /** Bytes of the image that were written here, and of those what was sent on. */
  written: number;
  flushed: number;
}

let place: Place | undefined;

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case 'start':
      place = {
        ...data,
        decoder: openBlockDecoder(),
        output: Buffer.alloc(0),
        mapping: undefined,
        written: 0,
        flushed: 0,
      };
      break;
    case 'place':
      send({ kind: 'placed', outcomes: data.jobs.map(outcomeOf) });
      break;
    case 'close':
      place?.decoder[Symbol.dispose]();
      place?.mapping?.[Symbol.dispose]();
      place = undefined;
      send({ kind: 'closed' });
      break;
  }
};

function outcomeOf(block: PlacedBlock): PlaceOutcome {
  try {
    if (place === undefined) throw new Error('the worker was not started');
    put(place, block);
    flush(place);
    return { job: block.job };
  } catch (error) {
    return { job: block.job, error: RdpullError.from(error).toRecord() };
  }
}

function flush(to: Place): void {
  if (to.written - to.flushed < FLUSH_BYTES) return;
  to.flushed = to.written;
  startWriteback(to.fd);
}

function put(to: Place, { from, encoding, start, length }: PlacedBlock): void {
  if ('fd' in from) {
    copyChunk(to, from, encoding, start, length);
    return;
  }
  const { slot, stored } = from;
  const memory = to.slots[slot];
  if (memory === undefined) throw new Error(`there is no slot ${slot}`);
  const input = new Uint8Array(memory, 0, stored);
  if (encoding.kind === 'plain') {
    if (stored !== length) throw new Error(`${stored} bytes cannot be ${length}`);
    written(to, () => writeData(to.fd, input, start));
    to.written += length;
    return;
  }
  const isLong = length > BESIDE_BYTES && encoding.kind !== 'chunk';
  const isInPlace = isLong && written(to, () => reserveRoom(to.fd, start, length));
  if (isInPlace) {
    to.mapping ??= SharedMapping.open(to.fd, to.size, 'write');
    const output = to.mapping.view(start, length);
    to.decoder.decode(input, encoding, output);
    giveBackZeros(to.fd, output, start);
    to.written += length;
    return;
  }
  if (to.output.length < length) to.output = Buffer.alloc(length);
  const output = to.output.subarray(0, length);
  to.decoder.decode(input, encoding, output);
  written(to, () => writeData(to.fd, output, start));
  to.written += length;
}

/** Puts a chunk in its place that lies in another file, if it is that chunk. */
function copyChunk(
  to: Place,
  { fd, path, offset }: { readonly fd: number; readonly path: string; readonly offset: number },
  encoding: Encoding,
  start: number,
  length: number,
): void {
  if (encoding.kind !== 'chunk') throw new Error('nothing but a digest can tell what another file has');
  if (to.output.length < length) to.output = Buffer.alloc(length);
  const output = to.output.subarray(0, length);
  readWhole(fd, path, output, offset);
  try {
    requireChunk(output, encoding);
  } catch (error) {
    const { code, message, hint } = RdpullError.from(error);
    throw new RdpullError(code, `${printable(path)}, at byte ${offset}: ${message}`, hint, { cause: error });
  }
  written(to, () => {
    const shared = sharedPages(fd, offset, to.fd, start, length);
    writeData(to.fd, output.subarray(0, shared.from - start), start);
    writeData(to.fd, output.subarray(shared.to - start), shared.to);
  });
  to.written += length;
}

function readWhole(fd: number, path: string, output: Buffer, offset: number): void {
  try {
    for (let at = 0; at < output.length; ) {
      const count = fs.readSync(fd, output, at, output.length - at, offset + at);
      if (count === 0) throw new Error('it ends before');
      at += count;
    }
  } catch (error) {
    throw new RdpullError(
      'file-unreadable',
      `${printable(path)}, at byte ${offset}: it cannot be read: ${reasonOf(error)}`,
      'check the disk',
      { cause: error },
    );
  }
}

/**
 * Lets two files share the pages of a part, where their file system can, and the part lies alike in both.
 *
 * @returns the bytes of the target that it has now: none, where both are alike
 */
function sharedPages(
  fd: number,
  offset: number,
  target: number,
  start: number,
  length: number,
): { readonly from: number; readonly to: number } {
  const none = { from: start, to: start };
  const from = Math.ceil(start / PAGE_BYTES) * PAGE_BYTES;
  const to = Math.floor((start + length) / PAGE_BYTES) * PAGE_BYTES;
  if (to <= from || offset % PAGE_BYTES !== start % PAGE_BYTES) return none;
  return cloneRange(fd, offset + from - start, to - from, target, from) ? { from, to } : none;
}

function giveBackZeros(fd: number, chunk: Uint8Array, offset: number): void {
  let zeros = 0;
  for (const { start, end } of [...dataIn(chunk, offset), { start: chunk.length, end: chunk.length }]) {
    const from = Math.ceil((offset + zeros) / PAGE_BYTES) * PAGE_BYTES;
    const to = Math.floor((offset + start) / PAGE_BYTES) * PAGE_BYTES;
    if (to > from) punchHole(fd, from, to - from);
    zeros = end;
  }
}

/** @throws RdpullError of the storage family */
function written<T>({ path, written: before }: Place, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw storageError(path, before, error);
  }
}

function send(message: FromWorker): void {
  postMessage(message);
}
