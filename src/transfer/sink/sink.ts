/**
 * Where decoded bytes end up. A sink is synchronous: it lives in the transfer's worker thread, and its pace is the
 * back-pressure that reaches the socket.
 */
export interface Sink {
  /** Takes the next bytes. `chunk` is only valid during the call. Any size, including 0. */
  write(chunk: Uint8Array): void;
  /** All bytes were written: completes and syncs the object. Throws when the content cannot end here. */
  finish(): SinkResult;
  /** Releases descriptors, after success and after failure alike. Does not remove anything. */
  close(): void;
}

export interface SinkResult {
  /** Bytes that came out of decompression: the image's exact size, or the tar stream's. */
  readonly bytes: number;
  /** Members unpacked: 1 for an image. */
  readonly entries: number;
}
