import { mostStored } from '../../../blocks/chunk-map.ts';
import { chunkUrls, PACKED, PLAIN, type StorePlace } from '../../../chunks/chunk-stores.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import type { PipelinedAnswer } from '../../../source/http/pipelined-answers.ts';
import { openPipelinedConnection, type PipelinedConnection } from '../../../source/pipelined-connection.ts';
import type { BulkChunk } from './messages.ts';

/**
 * Connections of one lane, as soon as the first chunk was there. One after the other is answered on each, and a server that has to fetch a chunk
 * from somewhere else first keeps but one of them waiting.
 */
const CONNECTIONS = 4;
/** What is asked for over one of them before it has come, at most: two lanes have as much under way as 500 Mbit/s bring in 100 ms, where chunks are packed to a half. */
const AHEAD_BYTES = 1.5 * 1024 * 1024;
const AHEAD_CHUNKS = 48;

const SENT: ReadonlySet<number> = new Set([200, 203]);
/** What a store that lacks a chunk answers; 403 is what object stores say. */
const ABSENT: ReadonlySet<number> = new Set([403, 404, 410]);
/** After so many chunks that are not there, or are others, without one that is good, this store is of no use. */
const BAD_MAX = 16;

/** Who has chunks fetched. */
export interface BulkTaker {
  /**
   * Says sooner or later whether it is that chunk: {@link BulkLane.judged}.
   *
   * @param stored what the store has of a chunk, which is not to be believed, and good until this returns; undefined: nothing
   * @throws Error when there is no going on
   */
  take(chunk: BulkChunk, stored: Uint8Array | undefined): void;
  /** Something has come, or will not. */
  advanced(): void;
  /** All that was given has come or will not, and so will what is given from now on. Once. */
  ended(): void;
}

/** Fetches many chunks of one store, as fast as it goes, and gives up at the first thing that is unusual. */
export interface BulkLane {
  give(chunks: readonly BulkChunk[]): void;
  /** No more will be given. */
  finish(): void;
  /** Whether one more of the chunks that came was good, in their order. Until the first one is, no other is asked for. */
  judged(isGood: boolean): void;
  close(): void;
  /** Nothing is asked for. */
  readonly isIdle: boolean;
  readonly requests: number;
  /** Bytes that came. */
  readonly fetched: number;
}

/** One connection, and what was asked for over it. */
interface Line {
  connection: PipelinedConnection | undefined;
  /** In the order of the requests, from the next that is answered on. */
  readonly asked: BulkChunk[];
  /** Bytes of the image. */
  askedBytes: number;
  /** Whether anything has come over the present connection, and whether the server has said that it closes it. */
  hasWorked: boolean;
  isLast: boolean;
}

export function openBulkLane(place: StorePlace, { take, advanced, ended }: BulkTaker): BulkLane {
  const { url, ...reach } = place;
  const origin = new URL(url);
  /** As a URL has it: what is behind it is hexadecimal. */
  const urlOf = chunkUrls(origin.pathname + origin.search);
  const ending = new AbortController();
  const options = { ...reach, signal: ending.signal };
  const waiting: BulkChunk[] = [];
  const lines: Line[] = [newLine()];
  /** How the files of the store end: unknown until one of them was there. */
  let suffix: typeof PACKED | typeof PLAIN = PACKED;
  let isSuffixKnown = false;
  let isPipelined = true;
  let isFinished = false;
  let hasEnded = false;
  let bad = 0;
  let requests = 0;
  let fetched = 0;

  function end(): void {
    if (hasEnded) return;
    hasEnded = true;
    ending.abort(new Error('nobody reads on'));
    for (const { connection } of lines) connection?.close();
    ended();
  }

  function isIdle(): boolean {
    return lines.every(({ asked }) => asked.length === 0);
  }

  function pump(): void {
    if (hasEnded) return;
    for (const line of lines) ask(line);
    if (isFinished && waiting.length === 0 && isIdle()) end();
  }

  /** Asks for as much as a connection is to be busy with. */
  function ask(line: Line): void {
    const { connection, asked } = line;
    if (connection === undefined) return;
    const most = isPipelined && isSuffixKnown ? AHEAD_CHUNKS : 1;
    // Few at a time would be a packet each.
    if (asked.length > most / 2) return;
    const chunks: BulkChunk[] = [];
    while (asked.length < most && (asked.length === 0 || line.askedBytes < AHEAD_BYTES)) {
      const chunk = waiting.shift();
      if (chunk === undefined) break;
      chunks.push(chunk);
      asked.push(chunk);
      line.askedBytes += chunk.length;
    }
    if (chunks.length === 0) return;
    requests += chunks.length;
    connection.ask(
      chunks.map(({ digest, length }) => ({
        path: urlOf(digest, suffix),
        most: mostStored(length),
      })),
    );
  }

  function answered(line: Line, { status, body, isLast }: PipelinedAnswer): void {
    const chunk = line.asked.shift();
    if (chunk === undefined) throw new Error('nothing was asked for');
    line.askedBytes -= chunk.length;
    line.hasWorked = true;
    line.isLast = isLast;
    fetched += body.length;
    if (!SENT.has(status) && !ABSENT.has(status)) throw new Error(`the server answers ${status}`);
    if (ABSENT.has(status) && !isSuffixKnown && suffix === PACKED) {
      suffix = PLAIN;
      waiting.unshift(chunk);
      return;
    }
    take(chunk, SENT.has(status) ? body : undefined);
  }

  function judged(isGood: boolean): void {
    if (hasEnded) return;
    if (isGood && !isSuffixKnown) widen();
    if (!isGood && !isSuffixKnown) suffix = PACKED;
    bad = isGood ? 0 : bad + 1;
    if (bad === BAD_MAX) end();
  }

  /** The connection is gone. What was asked for over it is asked for again over another one, if that one was any good. */
  function lost(line: Line, reason: unknown): void {
    const { asked, hasWorked, isLast } = line;
    line.connection = undefined;
    if (hasEnded) return;
    if (!hasWorked || !isSystemError(reason, 'RDPULL_CLOSED', 'ECONNRESET', 'EPIPE')) {
      end();
      return;
    }
    // Who hangs up without a word, with several requests before him, may be one who takes one at a time (RFC 9112, section 9.3.2).
    if (!isLast && asked.length > 1) isPipelined = false;
    waiting.unshift(...asked.splice(0));
    void open(line);
  }

  /** The store has chunks: all connections are worth it from now on. */
  function widen(): void {
    isSuffixKnown = true;
    while (lines.length < CONNECTIONS) {
      const line = newLine();
      lines.push(line);
      void open(line);
    }
  }

  async function open(line: Line): Promise<void> {
    Object.assign(line, { askedBytes: 0, hasWorked: false, isLast: false });
    try {
      const connection = await openPipelinedConnection(origin, options, {
        answered: (answer) => answered(line, answer),
        paused() {
          pump();
          advanced();
        },
        ended: (reason) => lost(line, reason),
      });
      if (hasEnded) connection.close();
      else line.connection = connection;
      pump();
    } catch {
      // Whoever asks for these chunks next hears why.
      end();
    }
  }

  for (const line of lines) void open(line);
  return {
    give(chunks) {
      waiting.push(...chunks);
      pump();
    },
    finish() {
      isFinished = true;
      pump();
    },
    judged,
    close: end,
    get isIdle() {
      return isIdle();
    },
    get requests() {
      return requests;
    },
    get fetched() {
      return fetched;
    },
  };
}

function newLine(): Line {
  return {
    connection: undefined,
    asked: [],
    askedBytes: 0,
    hasWorked: false,
    isLast: false,
  };
}
