import { ArchiveEnd } from './archive-end.ts';
import { COST, type KeptMemory } from './kept-memory.ts';
import { memberOf, sparseFileOf, type Warn } from './member-of-headers.ts';
import { isPreceding, type Preceding, PrecedingHeaders } from './preceding-headers.ts';
import { printableName } from './printable-name.ts';
import { isSparse, readSparseLayout } from './sparse-header.ts';
import { ambiguous, malformed, unsupported } from './tar-error.ts';
import { BLOCK_SIZE, classifyBlock, parseHeader, type TarHeader, TYPE } from './tar-header.ts';
import { TarInput, type Wanting } from './tar-input.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';
import type { TarMember, TarMemberHandler } from './tar-member.ts';

export interface TarReaderOptions {
  readonly warn: Warn;
  readonly limits: TarLimits;
  readonly kept: KeptMemory;
  /** Whether a digest says which bytes these are. Where peers do without the end of the archive, it may be missing then. */
  readonly isVouchedFor: boolean;
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
      const block = yield* this.#input.block();
      if (block === undefined) break;
      const kind = classifyBlock(block);
      if (kind === 'zeros') {
        this.#end.zeroBlock();
      } else if (kind === 'header') {
        yield* this.#headed(block);
      } else if (this.#claimedUntil >= this.#input.position) {
        this.#end.goesOn();
        yield* this.#skip(this.#claimedUntil - this.#input.position);
      } else {
        throw this.#end.noHeader(block, this.#input);
      }
    }
    this.#end.requireEnd(this.#input, this.#options.isVouchedFor && !this.#preceding.areWaiting);
  }

  /** A header, and what belongs to it. */
  *#headed(block: Uint8Array): Wanting<void> {
    const header = parseHeader(block);
    if (header.size < 0) throw malformed('the tar archive holds a member of a negative size');
    this.#end.goesOn();
    this.#claimedUntil = 0;
    if (isPreceding(header.type)) {
      const body = this.#preceding.roomFor(header.type, header.size);
      yield* this.#fill(body);
      this.#preceding.add(header.type, body, this.#end.lastMember);
    } else if (header.type === TYPE.gnuVolumeLabel) {
      if (header.size > 0) throw ambiguous('a volume label with data');
      this.#preceding.take(); // they were about the label
    } else if (header.type === TYPE.gnuMultiVolume) {
      throw unsupported(
        'the tar archive is one volume of several: it begins with the rest of a file',
        'pack the tarball without --multi-volume',
      );
    } else {
      yield* this.#member(block, header);
    }
  }

  *#member(block: Uint8Array, header: TarHeader): Wanting<void> {
    const preceding = this.#preceding.take();
    const size = preceding.pax.size ?? header.size;
    if (isSparse(header.type, preceding.pax)) {
      yield* this.#sparseFile(block, preceding, size);
      return;
    }
    const member = memberOf(header, preceding, this.#options.warn);
    this.#warnOfNfs4Acl(preceding, member.path);
    if (member.type === 'file') {
      this.#begin(member);
      yield* this.#data(size, [{ offset: 0, length: size }]);
      return;
    }
    this.#announce(member);
    if (header.type === TYPE.gnuDirectoryDump) yield* this.#skip(paddedSize(size));
    else this.#claim(size);
  }

  *#sparseFile(headerBlock: Uint8Array, preceding: Preceding, size: number): Wanting<void> {
    // A copy: the map is in blocks that take its place.
    const block = new Uint8Array(headerBlock);
    const header = parseHeader(block);
    const layout = yield* readSparseLayout(this.#input, block, header.type, preceding.pax, size);
    if (layout === undefined) throw this.#end.endsEarly(this.#input);
    const { map, dataSize } = layout;
    const cost = map.length * COST.extent;
    this.#options.kept.take(cost, 'pieces of sparse files');
    const member = sparseFileOf(header, preceding, layout);
    this.#warnOfNfs4Acl(preceding, member.path);
    this.#begin(member);
    yield* this.#data(dataSize, map.stretches());
    this.#options.kept.release(cost);
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

  /** The data of a file: `size` bytes of the archive, which belong to these stretches of the file. */
  *#data(
    size: number,
    stretches: Iterable<{ readonly offset: number; readonly length: number }>,
  ): Wanting<void> {
    let left = size;
    for (const { offset, length } of stretches) {
      let position = offset;
      const missing = yield* this.#input.take(length, (bytes) => {
        this.#handler.fileData(bytes, position);
        position += bytes.length;
      });
      left -= length - missing;
      if (missing > 0) throw this.#end.endsWithinFile(this.#input, left);
    }
    this.#handler.fileEnd();
    yield* this.#skip(paddedSize(size) - size);
  }

  /**
   * A size in the header of what has no data: writers disagree, and readers with them, whether it means anything (hard links
   * have data in some PAX archives, and the size of their target in others; to directories it may be a limit). The next block
   * tells: when it is a header, there are no data.
   */
  #claim(size: number): void {
    this.#claimedUntil = this.#input.position + paddedSize(size);
  }

  *#fill(body: Buffer): Wanting<void> {
    let filled = 0;
    const missing = yield* this.#input.take(body.length, (bytes) => {
      body.set(bytes, filled);
      filled += bytes.length;
    });
    if (missing > 0) throw this.#end.endsEarly(this.#input);
    yield* this.#skip(paddedSize(body.length) - body.length);
  }

  *#skip(count: number): Wanting<void> {
    if (count === 0) return;
    if ((yield* this.#input.skip(count)) > 0) throw this.#end.endsEarly(this.#input);
  }

  /** Once: what one file cannot have, thousands will not have either. */
  #warnOfNfs4Acl({ pax }: Preceding, path: Uint8Array): void {
    if (!pax.hasNfs4Acl || this.#hasWarnedOfNfs4Acl) return;
    this.#hasWarnedOfNfs4Acl = true;
    this.#options.warn(`${printableName(path)}, and maybe more, has an NFSv4 ACL: unpacked without`);
  }
}

function paddedSize(size: number): number {
  return Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}
