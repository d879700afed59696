/**
 * Where decoded bytes end up. A sink lives in the transfer's worker thread; it may write while the next bytes are
 * decoded, and its pace is the back-pressure that reaches the socket.
 */
export interface Sink {
  /** Takes the next bytes, any number of them. `chunk` must stay as it is until the promise, if there is one, is settled. */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** All bytes were written: completes and syncs the object. Rejects when the content cannot end here. */
  finish(): Promise<SinkResult> | SinkResult;
  /** Waits for what is being written and releases descriptors, after success and failure alike. Removes nothing. */
  close(): Promise<void> | undefined;
}

/** A sink that is through with everything when its functions return. */
export interface SynchronousSink extends Sink {
  write(chunk: Uint8Array): undefined;
  finish(): SinkResult;
  close(): undefined;
}

export interface SinkResult {
  /** Bytes that came out of decompression: the image's exact size, or the tar stream's. */
  readonly bytes: number;
  /** Members unpacked: 1 for an image. */
  readonly entries: number;
}
