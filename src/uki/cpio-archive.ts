import { malformedUki } from './malformed-uki.ts';

/**
 * The cpio archives that the kernel unpacks as an initramfs: "newc", Documentation/driver-api/early-userspace/
 * buffer-format.rst. Any number of them, with zeros in between.
 */

/** The first byte of every archive, a digit; the kernel takes it only at a multiple of four. */
export const CPIO_START = 0x30;

/** c_magic and thirteen fields of eight hexadecimal digits. */
const HEADER_BYTES = 110;
const MAGICS: readonly string[] = ['070701', '070702'];
/** The fields that are looked at, by their numbers. */
const FIELD = {
  inode: 0,
  mode: 1,
  links: 4,
  fileSize: 6,
  deviceMajor: 7,
  deviceMinor: 8,
  nameSize: 11,
} as const;

/** Of a path, its NUL included: PATH_MAX of limits.h, as in the kernel's init/initramfs.c. */
const NAME_MAX = 4096;
const TRAILER = 'TRAILER!!!';

/** sys/stat.h */
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

/** One member of an archive. */
export interface CpioMember {
  /** Its path without a slash or `.` before it. */
  readonly path: string;
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  /** Bytes of its content: of a link, its target. */
  readonly size: number;
  /** How many names it has (hard links); of those only one need come with its content. */
  readonly names: number;
  /** What all its names have in common, and no other member of the archives. */
  readonly inode: string;
}

/** What is done with a member: its content is wanted, or not. */
export type CpioVisitor = (member: CpioMember) => ((content: Uint8Array) => void) | undefined;

/** Reads archives piece by piece. */
export interface CpioReader {
  /** Whether a header may begin here, so that the archives may also end. */
  readonly isBetween: boolean;
  /**
   * Takes the next bytes; returns how many of them belong to the archives: fewer when something else follows.
   *
   * @throws RdpullError uki-malformed
   */
  write(chunk: Uint8Array): number;
}

/** @param visit is asked about each member; the content that it wants is kept in memory until it is whole */
export function createCpioReader(visit: CpioVisitor): CpioReader {
  let offset = 0;
  /** What is collected: a header, the name behind it, or content that is wanted. */
  let collected = new Uint8Array(0);
  let filled = 0;
  /** Bytes that are passed over: padding, content that nobody wants. */
  let skipped = 0;
  let member: Omit<CpioMember, 'path'> | undefined;
  let state: 'between' | 'header' | 'name' | 'content' = 'between';
  /** Inode numbers are those of one archive. */
  let archive = 0;
  let deliver: ((content: Uint8Array) => void) | undefined;

  function collect(bytes: number, next: typeof state): void {
    collected = new Uint8Array(bytes);
    filled = 0;
    state = next;
  }

  function headerRead(): void {
    const { nameSize, ...header } = parseHeader(collected);
    member = { ...header, inode: `${archive}:${header.inode}` };
    collect(nameSize, 'name');
  }

  function nameRead(): void {
    if (member === undefined) throw new Error('a name without a header');
    const name = parseName(collected);
    skipped = padded(HEADER_BYTES + collected.length) - HEADER_BYTES - collected.length;
    if (name === TRAILER) archive++;
    else deliver = visit({ path: name.replace(/^(?:\.?\/)+/, ''), ...member });
    if (deliver !== undefined) collect(member.size, 'content');
    else {
      skipped += padded(member.size);
      state = 'between';
    }
  }

  function contentRead(): void {
    const content = collected;
    skipped = padded(content.length) - content.length;
    state = 'between';
    deliver?.(content);
    deliver = undefined;
  }

  return {
    get isBetween() {
      return state === 'between' && skipped === 0;
    },
    write(chunk) {
      let position = 0;
      /** Goes on behind so many bytes. */
      const advance = (bytes: number) => {
        position += bytes;
        offset += bytes;
      };
      for (;;) {
        const passed = Math.min(skipped, chunk.length - position);
        skipped -= passed;
        advance(passed);
        if (skipped > 0) return position;
        if (state === 'between') {
          advance(zerosAt(chunk, position));
          if (chunk[position] !== CPIO_START || offset % 4 !== 0) return position;
          collect(HEADER_BYTES, 'header');
        }
        const taken = Math.min(collected.length - filled, chunk.length - position);
        collected.set(chunk.subarray(position, position + taken), filled);
        filled += taken;
        advance(taken);
        if (filled < collected.length) return position;
        if (state === 'header') headerRead();
        else if (state === 'name') nameRead();
        else contentRead();
      }
    },
  };
}

/**
 * What a header says of its member, and how long the name behind it is.
 *
 * @throws RdpullError uki-malformed
 */
function parseHeader(header: Uint8Array): Omit<CpioMember, 'path'> & { readonly nameSize: number } {
  const text = new TextDecoder('latin1').decode(header);
  if (!MAGICS.includes(text.slice(0, 6)))
    throw malformedUki('its initrd holds no archive where one should begin');
  if (!/^[0-9a-fA-F]+$/.test(text)) throw malformedUki('a header in the archive of its initrd is damaged');
  const field = (number: number) => Number.parseInt(text.slice(6 + 8 * number, 14 + 8 * number), 16);
  const nameSize = field(FIELD.nameSize);
  if (nameSize === 0 || nameSize > NAME_MAX) {
    throw malformedUki(`a name in the archive of its initrd has ${nameSize} bytes`);
  }
  return {
    kind: kindOf(field(FIELD.mode)),
    size: field(FIELD.fileSize),
    names: field(FIELD.links),
    inode: [field(FIELD.deviceMajor), field(FIELD.deviceMinor), field(FIELD.inode)].join(':'),
    nameSize,
  };
}

/** What is behind a NUL is not seen by the kernel. */
function parseName(bytes: Uint8Array): string {
  const [name = ''] = new TextDecoder().decode(bytes.subarray(0, -1)).split('\0', 1);
  return name;
}

function zerosAt(chunk: Uint8Array, from: number): number {
  let end = from;
  while (chunk[end] === 0) end++;
  return end - from;
}

function kindOf(mode: number): CpioMember['kind'] {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'file';
    case S_IFDIR:
      return 'directory';
    case S_IFLNK:
      return 'link';
    default:
      return 'other';
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
