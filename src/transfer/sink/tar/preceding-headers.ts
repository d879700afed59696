import type { KeptMemory } from './kept-memory.ts';
import {
  enterPaxRecord,
  enterPaxRecords,
  isAttributeKey,
  isGlobalKey,
  noPaxAttributes,
  type PaxAttributes,
  paxRecords,
} from './pax.ts';
import { ambiguous, beyondBounds, unsupported } from './tar-error.ts';
import { TYPE } from './tar-header.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';

/** The longest PAX header, in bytes: it is held in memory. */
const MAX_PAX_SIZE = 1 << 20;
/** The longest GNU long name, in bytes. Linux takes 4095. */
const MAX_LONG_NAME_SIZE = 1 << 16;

/** The types of headers that are about the next member, or about all that follow, and whose data say what. */
export type PrecedingType =
  | typeof TYPE.pax
  | typeof TYPE.solarisPax
  | typeof TYPE.globalPax
  | typeof TYPE.gnuLongName
  | typeof TYPE.gnuLongLink;

export function isPreceding(type: number): type is PrecedingType {
  return (
    type === TYPE.pax ||
    type === TYPE.solarisPax ||
    type === TYPE.globalPax ||
    type === TYPE.gnuLongName ||
    type === TYPE.gnuLongLink
  );
}

/** What the headers before a member say about it. Bytes are views of memory that is used again for the next member. */
export interface Preceding {
  readonly pax: PaxAttributes;
  readonly longName: Uint8Array | undefined;
  readonly longLink: Uint8Array | undefined;
}

/**
 * Collects what precedes a member: PAX headers, of its own and global, and GNU's long names. Of two that say how long the data
 * are, or of two names of one kind, GNU tar takes the last one and bsdtar the first or none: what one tool finds, the other
 * would lose. They are refused.
 */
export class PrecedingHeaders {
  readonly #limits: TarLimits;
  readonly #kept: KeptMemory;
  /** Memory for the data of a header of each kind, as large as any of them has been. */
  readonly #bodies = new Map<number, Uint8Array>();
  readonly #globalRecords = new Map<string, Uint8Array>();
  #pax: PaxAttributes | undefined;
  #longName: Uint8Array | undefined;
  #longLink: Uint8Array | undefined;

  constructor(limits: TarLimits, kept: KeptMemory) {
    this.#limits = limits;
    this.#kept = kept;
  }

  /** Whether there is anything that waits for its member. */
  get areWaiting(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  /**
   * Memory for the data of a header.
   *
   * @throws RdpullError `limit-exceeded`
   */
  roomFor(type: PrecedingType, size: number): Uint8Array {
    const isName = type === TYPE.gnuLongName || type === TYPE.gnuLongLink;
    const most = isName ? MAX_LONG_NAME_SIZE : MAX_PAX_SIZE;
    if (size > most) {
      throw beyondBounds(
        `the tar archive holds ${isName ? 'a file name' : 'an extended (PAX) header'} of ${size} bytes; rdpull takes ${most} at most`,
        'check whether the tarball is what it should be; if it is, pack it without --sparse or with fewer attributes',
      );
    }
    const kind = type === TYPE.solarisPax ? TYPE.pax : type;
    const room = this.#bodies.get(kind);
    if (room !== undefined && room.length >= size) return room.subarray(0, size);
    const larger = new Uint8Array(Math.min(most, 2 * size));
    this.#bodies.set(kind, larger);
    return larger.subarray(0, size);
  }

  /**
   * Takes a header whose data are `body`, in memory of {@link roomFor}.
   *
   * @param after knows the member before it, printable
   * @throws RdpullError
   */
  add(type: PrecedingType, body: Uint8Array, after: { readonly lastMember: string }): void {
    switch (type) {
      case TYPE.gnuLongName:
        if (this.#longName !== undefined) throw ambiguous('two GNU long names before one member');
        this.#longName = untilNul(body);
        break;
      case TYPE.gnuLongLink:
        if (this.#longLink !== undefined) throw ambiguous('two GNU long link targets before one member');
        this.#longLink = untilNul(body);
        break;
      case TYPE.globalPax:
        this.#addGlobal(body);
        break;
      default:
        if (this.#pax !== undefined) throw ambiguous('two extended (PAX) headers before one member');
        this.#pax = this.#global();
        enterPaxRecords(this.#pax, body);
        this.#limitAttributes(this.#pax, after);
    }
  }

  /** What there is for the member that comes now; the next one has nothing of it. */
  take(): Preceding {
    const taken = {
      pax: this.#pax ?? this.#global(),
      longName: this.#longName,
      longLink: this.#longLink,
    };
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    return taken;
  }

  #addGlobal(body: Uint8Array): void {
    for (const [key, value] of paxRecords(body)) {
      if (isAttributeKey(key)) {
        // A few bytes of archive for each file, a megabyte of attributes on each: no tool packs like that.
        throw unsupported(
          'the tar archive gives all its members the same extended attributes in a global (PAX) header',
          'check whether the tarball is what it should be; if it is, pack it with the attributes of each file',
        );
      }
      if (key === 'size' && value.length > 0) {
        throw ambiguous('a global (PAX) header with the size of all members');
      }
      if (isGlobalKey(key)) this.#keepGlobal(key, value);
    }
  }

  #keepGlobal(key: string, value: Uint8Array): void {
    enterPaxRecord(noPaxAttributes(), key, value); // that it is valid is known before it is kept
    this.#kept.release(this.#globalRecords.get(key)?.length ?? 0);
    this.#kept.take(value.length, 'global headers');
    // A copy, or else one short record would keep its whole header in memory.
    this.#globalRecords.set(key, new Uint8Array(value));
  }

  #global(): PaxAttributes {
    const attributes = noPaxAttributes();
    if (this.#globalRecords.size > 0)
      for (const [key, value] of this.#globalRecords) enterPaxRecord(attributes, key, value);
    return attributes;
  }

  #limitAttributes(
    { xattrs, accessAcl, defaultAcl }: PaxAttributes,
    after: { readonly lastMember: string },
  ): void {
    let size = (accessAcl?.length ?? 0) + (defaultAcl?.length ?? 0);
    if (size === 0 && xattrs.size === 0) return;
    for (const [name, value] of xattrs) size += name.length + value.length;
    const { xattr: most } = this.#limits;
    if (size <= most) return;
    throw beyondLimit(
      'xattr',
      most,
      `the member after ${after.lastMember} has ${size} bytes of extended attributes; the limit is ${most}`,
    );
  }
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}
