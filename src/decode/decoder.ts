import type { Sink } from './sink.ts';

/**
 * One decompressor, in the transfer's worker thread. Memory is a constant of the format, never of the stream's length.
 */
export interface Decoder {
  /** Decodes `input`, and hands what comes out of it to the sink. `input` is free again when the promise is settled. */
  write(input: Uint8Array): Promise<void>;
  /** The stream has ended: resolves when the sink has all of it. Rejects with `stream-truncated` when more is needed. */
  finish(): Promise<void>;
  /** Releases native memory, after success and after failure alike. */
  close(): void;
}

/** What every decoder is made with. */
export interface DecoderContext {
  readonly sink: Sink;
  /** Bytes that blocks decoded side by side may take. */
  readonly threadingMemory: number;
  /** Polled between output buffers; true ends the work early (SIGTERM, a lost connection). */
  readonly cancelled: () => boolean;
  /**
   * Takes what is to be said of bytes behind the end of a format whose own tool passes over them. Undefined where no digest
   * vouches for the bytes: then nothing tells such bytes from damage, and they are refused.
   */
  readonly tellTrailing?: ((warning: string) => void) | undefined;
}
