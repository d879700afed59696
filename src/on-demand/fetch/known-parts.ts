/** Bytes that are kept besides the first of the file: of its index, which is looked at before anything else. */
const KEPT_BYTES = 192 * 1024;

/** A piece of a range: its bytes, where they are here already. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly bytes: Uint8Array | undefined;
}

/** The few parts of a file that were read before anything was fetched, so that they are not fetched again. */
export interface KnownParts {
  /** Keeps a part, if it touches none that is here, and there is room. */
  add(offset: number, bytes: Uint8Array): void;
  /** A range in what is here and what is not, in its order. */
  split(from: number, to: number): readonly Piece[];
  /** They may be wrong. */
  forget(): void;
}

/** @param start the first bytes of the file */
export function createKnownParts(start: Uint8Array): KnownParts {
  let parts: { readonly from: number; readonly to: number; readonly bytes: Uint8Array }[] = [
    { from: 0, to: start.length, bytes: start },
  ];
  let room = KEPT_BYTES;

  return {
    add(offset, bytes) {
      const to = offset + bytes.length;
      if (bytes.length > room || parts.some((part) => part.from < to && offset < part.to)) return;
      room -= bytes.length;
      parts.push({ from: offset, to, bytes });
      parts.sort((one, other) => one.from - other.from);
    },
    split(from, to) {
      const pieces: Piece[] = [];
      let at = from;
      for (const part of parts) {
        if (part.to <= at || part.from >= to) continue;
        if (part.from > at) pieces.push({ from: at, to: part.from, bytes: undefined });
        const begin = Math.max(at, part.from);
        const end = Math.min(to, part.to);
        pieces.push({ from: begin, to: end, bytes: part.bytes.subarray(begin - part.from, end - part.from) });
        at = end;
      }
      if (at < to) pieces.push({ from: at, to, bytes: undefined });
      return pieces;
    },
    forget() {
      parts = [];
      room = 0;
    },
  };
}
