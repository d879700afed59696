import fs from 'node:fs';
import { punchHole } from '../../kernel/punch-hole.ts';
import { storageError } from '../../transfer/sink/storage-error.ts';

/** What is read back and hashed at once, in bytes: others have their turn between. */
const AT_ONCE = 256 * 1024;
/** What is given back at once. */
const HOLE_BYTES = 4096;

/** Where bytes wait that came ahead of their turn. */
export interface DigestStore {
  /** Read and written. The file becomes as long as the one that is served, and takes only the room of what waits. */
  readonly fd: number;
  /** For messages. */
  readonly path: string;
  /** The bytes are in it without being written, and stay there: it is the cache of a raw image. */
  readonly isCache: boolean;
}

/** SHA-256 of a file as it is served, whose parts come in any order, each once. */
export interface ServedDigest {
  /** Takes a part that holds, as far as it has a check of its own. What was taken before is passed over. */
  add(offset: number, bytes: Uint8Array): void;
  /** A part that nobody has brought yet, the first one; undefined: none is missing, or there will be no digest. */
  missing(): { readonly from: number; readonly to: number } | undefined;
  /** The most bytes that have waited for their turn. */
  readonly waited: number;
  /**
   * When nothing is missing: in lower-case hexadecimal.
   *
   * @throws RdpullError of the storage family
   */
  result(): Promise<string>;
}

/**
 * @param size bytes of the file as served
 * @param taken is given each part once, in the order in which they come; its bytes are valid until it returns
 */
export function createServedDigest(
  size: number,
  { fd, path, isCache }: DigestStore,
  taken: (offset: number, bytes: Uint8Array) => void = () => undefined,
): ServedDigest {
  const hasher = new Bun.CryptoHasher('sha256');
  const buffer = new Uint8Array(AT_ONCE);
  /** What has come and is not hashed: in their order, none touching another. */
  const ahead: { from: number; to: number }[] = [];
  /** All bytes before this one are hashed. */
  let hashed = 0;
  let waiting = 0;
  let waited = 0;
  let failure: unknown;
  let draining: Promise<void> | undefined;

  /** Hashes what has come that follows what is hashed, piece by piece. */
  async function drain(): Promise<void> {
    try {
      for (let first = ahead[0]; first !== undefined && first.from === hashed; first = ahead[0]) {
        const count = Math.min(AT_ONCE, first.to - hashed);
        const read = fs.readSync(fd, buffer, 0, count, hashed);
        if (read === 0) throw new Error('what was written cannot be read back');
        hasher.update(buffer.subarray(0, read));
        release(hashed, hashed + read);
        hashed += read;
        waiting -= read;
        if (first.to === hashed) ahead.shift();
        else first.from = hashed;
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      failure ??= error;
    } finally {
      draining = undefined;
    }
  }

  function release(from: number, to: number): void {
    if (isCache) return;
    const start = Math.floor(from / HOLE_BYTES) * HOLE_BYTES;
    const end = to === size ? to : Math.floor(to / HOLE_BYTES) * HOLE_BYTES;
    if (end > start) punchHole(fd, start, end - start);
  }

  /** The parts of a range that have not come yet. */
  function untaken(from: number, to: number): [number, number][] {
    const parts: [number, number][] = [];
    let at = Math.max(from, hashed);
    for (const each of ahead) {
      if (each.to <= at) continue;
      if (each.from >= to) break;
      if (each.from > at) parts.push([at, each.from]);
      at = each.to;
    }
    if (at < to) parts.push([at, to]);
    return parts;
  }

  function note(from: number, to: number): void {
    let index = ahead.findIndex((each) => each.to >= from);
    if (index < 0) index = ahead.length;
    let [start, end] = [from, to];
    let joined = 0;
    for (let each = ahead[index]; each !== undefined && each.from <= end; each = ahead[index + joined]) {
      start = Math.min(start, each.from);
      end = Math.max(end, each.to);
      joined++;
    }
    ahead.splice(index, joined, { from: start, to: end });
  }

  return {
    add(offset, bytes) {
      if (failure !== undefined) return;
      try {
        for (const [from, to] of untaken(offset, offset + bytes.length)) {
          const part = bytes.subarray(from - offset, to - offset);
          taken(from, part);
          if (from === hashed && draining === undefined) {
            hasher.update(part);
            hashed = to;
            continue;
          }
          if (!isCache) writeAll(fd, part, from);
          note(from, to);
          waiting += to - from;
          waited = Math.max(waited, waiting);
        }
      } catch (error) {
        failure = error;
      }
      if (ahead[0]?.from === hashed) draining ??= drain();
    },
    missing() {
      if (failure !== undefined) return undefined;
      const [first] = ahead;
      if (first === undefined) return hashed < size ? { from: hashed, to: size } : undefined;
      if (first.from > hashed) return { from: hashed, to: first.from };
      const to = ahead[1]?.from ?? size;
      return first.to < to ? { from: first.to, to } : undefined;
    },
    get waited() {
      return isCache ? 0 : waited;
    },
    async result() {
      while (draining !== undefined) await draining;
      if (failure !== undefined) throw storageError(path, 0, failure);
      if (hashed !== size) throw new Error(`${hashed} bytes of ${size} are hashed`);
      return hasher.digest('hex');
    },
  };
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(fd, bytes, at, bytes.length - at, offset + at);
}
