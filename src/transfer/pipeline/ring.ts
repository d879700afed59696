/** Bytes of the stream that travel to the worker at once. */
export const SLOT_BYTES = 512 * 1024;
/** Slots of the ring: what lies between the socket and the decoder is at most 4 MiB. */
export const SLOTS = 8;

/** Indexes into the control words that both threads see. */
const CANCELLED = 0;
const DECODED_BYTES = 1;
const CONVERTED_BYTES = 2;
const CONTROL_WORDS = 3;

/**
 * The memory that the main thread and the worker share: slots for the stream's bytes, and a few words of control.
 * It is all that can lie between them, so a slow disk slows the socket down instead of filling the memory.
 */
export interface Ring {
  readonly slots: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

export function createRing(): Ring {
  return {
    slots: new SharedArrayBuffer(SLOTS * SLOT_BYTES),
    control: new SharedArrayBuffer(CONTROL_WORDS * BigInt64Array.BYTES_PER_ELEMENT),
  };
}

/** The bytes of one slot. */
export function slotBytes(ring: Ring, slot: number, length = SLOT_BYTES): Uint8Array {
  return new Uint8Array(ring.slots, slot * SLOT_BYTES, length);
}

/** What the threads tell each other without a message: readable at any moment, even while the worker is busy. */
export function openControl(ring: Ring) {
  const words = new BigInt64Array(ring.control);
  return {
    cancel: () => void Atomics.store(words, CANCELLED, 1n),
    cancelled: () => Atomics.load(words, CANCELLED) !== 0n,
    decodedBytes: () => Number(Atomics.load(words, DECODED_BYTES)),
    addDecodedBytes: (count: number) => void Atomics.add(words, DECODED_BYTES, BigInt(count)),
    convertedBytes: () => Number(Atomics.load(words, CONVERTED_BYTES)),
    addConvertedBytes: (count: number) => void Atomics.add(words, CONVERTED_BYTES, BigInt(count)),
  };
}
