import { BLOCK_SIZE, classifyBlock, wordsOf } from '../../../decode/tar-block.ts';
import { ArchiveEnd } from './archive-end.ts';
import { COST, type KeptMemory } from './kept-memory.ts';
import { memberOf, sparseFileOf, type Warn } from './member-of-headers.ts';
import { isPreceding, type Preceding, PrecedingHeaders, type PrecedingType } from './preceding-headers.ts';
import { printableName } from './printable-name.ts';
import { isSparse, readSparseLayout } from './sparse-header.ts';
import type { SparseMap } from './sparse-map.ts';
import { ambiguous, malformed, unsupported } from './tar-error.ts';
import { headerSize, headerType, parseHeader, TYPE } from './tar-header.ts';
import { type Place, TarInput, type Wanting } from './tar-input.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';
import type { TarMember, TarMemberHandler } from './tar-member.ts';

export interface TarReaderOptions {
  readonly warn: Warn;
  readonly limits: TarLimits;
  readonly kept: KeptMemory;
  /** Whether a digest says which bytes these are. Where peers do without the end of the archive, it may be missing then. */
  readonly isVouchedFor: boolean;
  /** Whether the zeros behind the last file may be missing besides: `umoci insert` leaves them out, and Go's tar does without. */
  readonly mayLackPadding?: boolean;
}

/**
 * Takes a tar archive in pieces of any size and hands out its members: v7, ustar, PAX (with GNU's, star's and
 * libarchive's own records) and GNU, whatever they are mixed like. Knows nothing of files.
 *
 * What happens is told from the first block to the last one by {@link #archive}: it waits at every `yield` for the next chunk.
 */
export class TarReader {
  readonly #handler: TarMemberHandler;
  readonly #options: TarReaderOptions;
  readonly #input = new TarInput();
  readonly #preceding: PrecedingHeaders;
  readonly #end = new ArchiveEnd();
  /** Up to here there may be data of a member that ought to have none, by the size in its header. */
  #claimedUntil = 0;
  /** Bytes that are passed over before the next block: padding, or data that nobody wants. */
  #ahead = 0;
  #hasWarnedOfNfs4Acl = false;
  readonly #reading: Wanting<void>;

  constructor(handler: TarMemberHandler, options: TarReaderOptions) {
    this.#handler = handler;
    this.#options = options;
    this.#preceding = new PrecedingHeaders(options.limits, options.kept);
    this.#reading = this.#archive();
  }

  /** Bytes taken in so far. */
  get bytes(): number {
    return this.#input.bytes;
  }

  /**
   * Takes the next bytes.
   *
   * @throws RdpullError `tar-malformed`, `stream-unsupported`, `stream-trailing-data`, and what the handler throws
   */
  write(chunk: Uint8Array): void {
    this.#input.give(chunk);
    this.#reading.next();
  }

  /**
   * There are no more bytes.
   *
   * @throws RdpullError `stream-truncated`, `stream-trailing-data`, `tar-malformed`
   */
  finish(): void {
    this.#input.end();
    this.#reading.next();
  }

  /** Block by block: headers with what belongs to each, zeros, and data that a member had in spite of its type. */
  *#archive(): Wanting<void> {
    for (;;) {
      let rest = this.#whatIsHere();
      if (rest === undefined) {
        if (this.#ahead > 0 && (yield* this.#input.take(this.#ahead, passOver)) > 0) {
          if (this.#isPadding(this.#ahead)) return;
          throw this.#end.endsEarly(this.#input);
        }
        this.#ahead = 0;
        const bytes = yield* this.#input.block();
        if (bytes === undefined) break;
        rest = this.#block({ bytes, words: wordsOf(bytes), at: 0 });
      }
      if (rest !== undefined) yield* rest;
    }
    this.#end.requireEnd(this.#input, this.#options.isVouchedFor && !this.#preceding.areWaiting);
  }

  /**
   * As far as it goes without waiting, which is most of the way: a plain loop, as a generator would cost more for each block than what is
   * done to it. Returns what is left to do of the last block; undefined when the next one is not all here, or what is ahead of it.
   */
  #whatIsHere(): Wanting<void> | undefined {
    for (;;) {
      if (!this.#input.passHere(this.#ahead)) return undefined;
      this.#ahead = 0;
      const block = this.#input.blockHere();
      if (block === undefined) return undefined;
      const rest = this.#block(block);
      if (rest !== undefined) return rest;
    }
  }

  /** Returns what is left to do, when what belongs to the block is not all here. */
  #block({ bytes, words, at }: Place): Wanting<void> | undefined {
    const kind = classifyBlock(bytes, at, words);
    if (kind === 'header') return this.#headed(bytes, at);
    if (kind === 'zeros') {
      this.#end.zeroBlock();
    } else if (this.#claimedUntil >= this.#input.position) {
      this.#end.goesOn();
      this.#ahead = this.#claimedUntil - this.#input.position;
    } else {
      throw this.#end.noHeader(bytes.subarray(at, at + BLOCK_SIZE), this.#input);
    }
    return undefined;
  }

  /** Whether the archive may end before so many bytes have come that are passed over. */
  #isPadding(ahead: number): boolean {
    return this.#options.mayLackPadding === true && ahead < BLOCK_SIZE && !this.#preceding.areWaiting;
  }

  /** A header, and what belongs to it. Returns what is left to do, when not all of that is here. */
  #headed(bytes: Uint8Array, at: number): Wanting<void> | undefined {
    const type = headerType(bytes, at);
    const size = headerSize(bytes, at);
    if (size < 0) throw malformed('the tar archive holds a member of a negative size');
    this.#end.goesOn();
    this.#claimedUntil = 0;
    if (isPreceding(type)) return this.#precedingHeader(type, size);
    switch (type) {
      case TYPE.gnuVolumeLabel:
        if (size > 0) throw ambiguous('a volume label with data');
        this.#preceding.take(); // they were about the label
        return undefined;
      case TYPE.gnuMultiVolume:
        throw unsupported(
          'the tar archive is one volume of several: it begins with the rest of a file',
          'pack the tarball without --multi-volume',
        );
      default:
        return this.#member(bytes, at);
    }
  }

  #precedingHeader(type: PrecedingType, size: number): Wanting<void> | undefined {
    const body = this.#preceding.roomFor(type, size);
    let filled = 0;
    const fill = (bytes: Uint8Array) => {
      body.set(bytes, filled);
      filled += bytes.length;
    };
    this.#ahead = paddedSize(size) - size;
    return this.#taking(
      size,
      fill,
      () => this.#preceding.add(type, body, this.#end),
      () => this.#end.endsEarly(this.#input),
    );
  }

  #member(bytes: Uint8Array, at: number): Wanting<void> | undefined {
    const header = parseHeader(bytes, at);
    const preceding = this.#preceding.take();
    const size = preceding.pax.size ?? header.size;
    if (isSparse(header.type, preceding.pax)) {
      // A copy: the map is in blocks that take its place.
      return this.#sparseFile(new Uint8Array(bytes.subarray(at, at + BLOCK_SIZE)), preceding, size);
    }
    const member = memberOf(header, preceding, this.#options.warn);
    this.#warnOfNfs4Acl(preceding, member.path);
    if (member.type === 'file') return this.#file(member, size);
    this.#announce(member);
    if (header.type === TYPE.gnuDirectoryDump) this.#ahead = paddedSize(size);
    else this.#claim(size);
    return undefined;
  }

  #file(member: TarMember & { readonly type: 'file' }, size: number): Wanting<void> | undefined {
    this.#begin(member);
    this.#ahead = paddedSize(size) - size;
    let position = 0;
    const use = (bytes: Uint8Array) => {
      this.#handler.fileData(bytes, position);
      position += bytes.length;
    };
    return this.#taking(
      size,
      use,
      () => this.#handler.fileEnd(),
      (missing) => this.#end.endsWithinFile(this.#input, missing),
    );
  }

  /**
   * Hands the next `count` bytes to `use`, and ends with `then`; with the error `cut` when they do not exist. Returns what is
   * left to do, when they are not all here.
   */
  #taking(
    count: number,
    use: (bytes: Uint8Array) => void,
    then: () => void,
    cut: (missing: number) => Error,
  ): Wanting<void> | undefined {
    const left = this.#input.takeHere(count, use);
    if (left > 0) return this.#takingLater(left, use, then, cut);
    then();
    return undefined;
  }

  *#takingLater(
    count: number,
    use: (bytes: Uint8Array) => void,
    then: () => void,
    cut: (missing: number) => Error,
  ): Wanting<void> {
    const missing = yield* this.#input.take(count, use);
    if (missing > 0) throw cut(missing);
    then();
  }

  *#sparseFile(block: Uint8Array, preceding: Preceding, size: number): Wanting<void> {
    const header = parseHeader(block);
    const layout = yield* readSparseLayout(this.#input, block, header.type, preceding.pax, size);
    if (layout === undefined) throw this.#end.endsEarly(this.#input);
    const { map, dataSize } = layout;
    const cost = map.length * COST.extent;
    this.#options.kept.take(cost, 'pieces of sparse files');
    const member = sparseFileOf(header, preceding, layout);
    this.#warnOfNfs4Acl(preceding, member.path);
    this.#begin(member);
    yield* this.#sparseData(map, dataSize);
    this.#handler.fileEnd();
    this.#ahead = paddedSize(dataSize) - dataSize;
    this.#options.kept.release(cost);
  }

  *#sparseData(map: SparseMap, size: number): Wanting<void> {
    let left = size;
    for (const { offset, length } of map.stretches()) {
      let position = offset;
      const missing = yield* this.#input.take(length, (bytes) => {
        this.#handler.fileData(bytes, position);
        position += bytes.length;
      });
      left -= length - missing;
      if (missing > 0) throw this.#end.endsWithinFile(this.#input, left);
    }
  }

  #begin(file: TarMember & { readonly type: 'file' }): void {
    const { file: most } = this.#options.limits;
    if (file.size > most) {
      throw beyondLimit(
        'file',
        most,
        `the file ${printableName(file.path)} has ${file.size} bytes, holes included; the limit is ${most}`,
      );
    }
    this.#announce(file);
  }

  #announce(member: TarMember): void {
    this.#end.memberBegins(member.path);
    this.#handler.member(member);
  }

  /**
   * A size in the header of what has no data: writers disagree, and readers with them, whether it means anything (hard links
   * have data in some PAX archives, and the size of their target in others; to directories it may be a limit). The next block
   * tells: when it is a header, there are no data.
   */
  #claim(size: number): void {
    this.#claimedUntil = this.#input.position + paddedSize(size);
  }

  /** Once: what one file cannot have, thousands will not have either. */
  #warnOfNfs4Acl({ pax }: Preceding, path: Uint8Array): void {
    if (!pax.hasNfs4Acl || this.#hasWarnedOfNfs4Acl) return;
    this.#hasWarnedOfNfs4Acl = true;
    this.#options.warn(`${printableName(path)}, and maybe more, has an NFSv4 ACL: unpacked without`);
  }
}

function passOver(): void {}

function paddedSize(size: number): number {
  return Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}
