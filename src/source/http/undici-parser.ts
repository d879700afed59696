import type net from 'node:net';
import { kParser } from 'undici-real/lib/core/symbols.js';

/** Of undici's parser of the answers on a connection (lib/dispatcher/client-h1.js), which has no documentation, what is used here. */
export interface UndiciParser {
  /** llhttp, compiled to WebAssembly. */
  readonly llhttp: {
    llhttp_get_http_major(parser: number): number;
    llhttp_get_http_minor(parser: number): number;
    llhttp_get_error_reason(parser: number): number;
    /** Behind a head: not 0: the body ends with the connection (llhttp's api.h). */
    llhttp_message_needs_eof(parser: number): number;
    llhttp_set_lenient_optional_cr_before_lf(parser: number, enabled: number): void;
    /** Lets it wait for the next answer, with the same settings. */
    llhttp_reset(parser: number): void;
    llhttp_set_lenient_spaces_after_chunk_size(parser: number, enabled: number): void;
    readonly memory: { readonly buffer: ArrayBuffer };
  };
  readonly ptr: number;
  readonly socket: net.Socket;
  /** Nobody wants more for now: nothing is executed until undici goes on. */
  paused: boolean;
  statusText: string;
  /** Names and values in turn; those of the trailers, behind the body. */
  readonly headers: readonly Buffer[];
  /** Bytes of them. */
  readonly headersSize: number;
  /** What the body is to be long, in bytes; -1: nobody says so. */
  contentLength: number;
  /** Bytes of the body that have come. */
  readonly bytesRead: number;
  execute(chunk: Buffer): void;
  /** The connection has ended. */
  finish(): Error | null;
  trackHeader(length: number): void;
  onStatus(part: Buffer): number;
  onHeadersComplete(status: number, upgrade: boolean, keepAlive: boolean): number;
  /** Takes a part of the body; not 0: nothing more is wanted for now, or at all. */
  onBody(part: Buffer): number;
  onMessageComplete(): number;
  createError(code: number, rest: Buffer): Error;
}

/** The parser of a connection that is undici's. */
export function parserOf(socket: net.Socket): UndiciParser {
  return Reflect.get(socket, kParser);
}
