import { RdpullError } from '../../console/rdpull-error.ts';
import type { ConversionPlan } from '../conversion/plan.ts';
import { localMaker, type Maker, threadMaker } from './makers.ts';
import { threadingMemory } from './memory.ts';
import type { Destination, FromMaker, PipelineResult, ToMaker } from './messages.ts';
import { createRing, openControl, SLOT_BYTES, SLOTS, slotBytes } from './ring.ts';

/**
 * The main thread's end of a transfer: takes the stream's bytes, and lets somebody decode and write them. `await using` it: that
 * waits until every file is let go of, so that the caller may remove them.
 */
export class Pipeline implements AsyncDisposable {
  #maker: Maker | undefined;
  readonly #ring = createRing();
  readonly #control = openControl(this.#ring);
  readonly #free = Array.from({ length: SLOTS }, (_, slot) => slot);
  #finished = unread<PipelineResult>();
  readonly #planned = unread<ConversionPlan>();
  readonly #converted = unread<number>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #warn: (text: string) => void;
  #failure: RdpullError | undefined;
  #wakeUp: (() => void) | undefined;
  #slot: number | undefined;
  #filled = 0;

  /** @param warn takes what is lost on the way */
  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  /**
   * Says what is to be made of the bytes. Once, and before the first of them; for the next layer of an image again, when
   * {@link finish} has told that the one before is applied.
   *
   * @param memory bytes that the whole process may have resident, more or less
   * @param isSmall it is written as it comes, and is there before another thread would be
   */
  start(destination: Destination, memory: number, isSmall = false): void {
    if (this.#failure === undefined) this.#finished = unread();
    const listener = {
      receive: (message: FromMaker) => this.#receive(message),
      broken: (error: RdpullError) => {
        this.#fail(error);
        this.#closed.resolve();
      },
    };
    this.#maker ??= isSmall ? localMaker(listener) : threadMaker(listener);
    this.#send({
      kind: 'start',
      ring: this.#ring,
      destination,
      threadingMemory: threadingMemory(memory),
    });
  }

  /** Bytes that have come out of the decoder so far. */
  get decodedBytes(): number {
    return this.#control.decodedBytes();
  }

  /** Takes the next bytes of the stream; resolves when there is room for more. */
  async write(chunk: Uint8Array): Promise<void> {
    for (let position = 0; position < chunk.length; ) {
      this.#slot ??= await this.#takeSlot();
      const part = chunk.subarray(position, position + SLOT_BYTES - this.#filled);
      slotBytes(this.#ring, this.#slot).set(part, this.#filled);
      this.#filled += part.length;
      position += part.length;
      if (this.#filled === SLOT_BYTES) this.#flush();
    }
  }

  /** The stream is complete: resolves when all of it is decoded and written. */
  finish(): Promise<PipelineResult> {
    this.#flush();
    this.#send({ kind: 'end' });
    return this.#finished.promise;
  }

  /** Bytes of a raw image that a qcow2 image has become so far. */
  get convertedBytes(): number {
    return this.#control.convertedBytes();
  }

  /** After {@link finish}, when that has brought a qcow2 image: what a raw image in its place would take. */
  planConversion(): Promise<ConversionPlan> {
    this.#send({ kind: 'plan' });
    return this.#planned.promise;
  }

  /**
   * After {@link planConversion}: makes a raw image of a qcow2 image, in its place.
   *
   * @param shrinks whether the qcow2 image gives back its room meanwhile
   * @returns the bytes of the raw image
   */
  convert(shrinks: boolean): Promise<number> {
    this.#send({ kind: 'convert', shrinks });
    return this.#converted.promise;
  }

  /** Ends the work as soon as the decoder has filled its present output buffer; nobody has to wait for that. */
  cancel(): void {
    this.#control.cancel();
    this.#fail(RdpullError.from(new Error('the transfer was cancelled')));
  }

  /** Ends the work likewise, and waits until everything is let go of. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#maker === undefined) return;
    this.#control.cancel();
    this.#send({ kind: 'close' });
    await this.#closed.promise;
    this.#maker.leave();
  }

  async #takeSlot(): Promise<number> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const slot = this.#free.pop();
      if (slot !== undefined) return slot;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeUp = resolve;
      await promise;
    }
  }

  #flush(): void {
    if (this.#slot === undefined) return;
    this.#send({ kind: 'chunk', slot: this.#slot, length: this.#filled });
    this.#slot = undefined;
    this.#filled = 0;
  }

  #receive(message: FromMaker): void {
    switch (message.kind) {
      case 'released':
        this.#free.push(message.slot);
        break;
      case 'warning':
        this.#warn(message.text);
        break;
      case 'finished':
        this.#finished.resolve(message.result);
        break;
      case 'planned':
        this.#planned.resolve(message.plan);
        break;
      case 'converted':
        this.#converted.resolve(message.bytes);
        break;
      case 'failed':
        this.#fail(RdpullError.fromRecord(message.error));
        break;
      case 'closed':
        this.#closed.resolve();
        break;
    }
    this.#wakeUp?.();
  }

  #fail(error: RdpullError): void {
    this.#failure ??= error;
    this.#finished.reject(this.#failure);
    this.#planned.reject(this.#failure);
    this.#converted.reject(this.#failure);
    this.#wakeUp?.();
  }

  #send(message: ToMaker): void {
    this.#maker?.send(message);
  }
}

/** Whoever writes next sees a failure first; one that nobody reads is not an error of its own. */
function unread<T>(): PromiseWithResolvers<T> {
  const resolvers = Promise.withResolvers<T>();
  resolvers.promise.catch(() => undefined);
  return resolvers;
}
