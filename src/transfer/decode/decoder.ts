import type { Sink } from '../sink/sink.ts';

/**
 * One decompressor. Synchronous, in the transfer's worker thread: all that `write` decodes has reached the sink
 * when it returns. Memory is a constant of the format, never of the stream's length.
 */
export interface Decoder {
  /** Decodes all of `input`, handing output to the sink. */
  write(input: Uint8Array): void;
  /** The stream has ended. Throws `stream-truncated` when the format needs more. */
  finish(): void;
  /** Releases native memory, after success and after failure alike. */
  close(): void;
}

/** What every decoder is made with. */
export interface DecoderContext {
  readonly sink: Sink;
  /** Polled between output buffers; true ends the work early (SIGTERM, a lost connection). */
  readonly cancelled: () => boolean;
}
