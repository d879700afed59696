import { quoted } from '../../../console/printable.ts';
import {
  enterPaxRecord,
  isAttributeKey,
  isGlobalKey,
  noPaxAttributes,
  type PaxAttributes,
  paxRecords,
  sparseFormat,
} from './pax.ts';
import {
  type AclEntry,
  parseAclText,
  XATTR_NAME_POSIX_ACL_ACCESS,
  XATTR_NAME_POSIX_ACL_DEFAULT,
} from './posix-acl.ts';
import { printableName } from './printable-name.ts';
import { readGnuSparseExtension, readGnuSparseHeader, SparseMap, SparseMapReader } from './sparse-map.ts';
import { beyondBounds, malformed, trailingData, truncated, unsupported } from './tar-error.ts';
import { BLOCK_SIZE, classifyBlock, parseHeader, type TarHeader, TYPE } from './tar-header.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';
import type { Acl, MemberAttributes, TarMember, TarMemberHandler } from './tar-member.ts';

/** The longest PAX header, in bytes: it is held in memory. */
const MAX_PAX_SIZE = 1 << 20;
/** The longest GNU long name, in bytes. Linux takes 4095. */
const MAX_LONG_NAME_SIZE = 1 << 16;
/** The kernel's own range of device numbers, linux/kdev_t.h. */
const MAX_DEVICE_MAJOR = 0xfff;
const MAX_DEVICE_MINOR = 0xfffff;
/** (uid_t) -1 means "leave it" to chown(2), so nobody has it. */
const MAX_ID = 0xfffffffe;

export interface TarReaderOptions {
  /** Something is lost that the tree can do without. */
  readonly warn: (message: string) => void;
  readonly limits: TarLimits;
}

/** What the next bytes are. */
type State =
  /** a header, or the end of the archive */
  | 'header'
  /** the body of a PAX header or a GNU long name */
  | 'body'
  /** a block that continues the map of a GNU 'S' header */
  | 'sparse-extension'
  /** a block of the map that leads the data in sparse format 1.0 */
  | 'sparse-map'
  /** the data of a file */
  | 'data'
  /** padding up to the next header, or data nobody wants */
  | 'skip'
  /** after the end-of-archive marker */
  | 'end';

/** A PAX header or GNU long name whose body is being collected. */
interface Body {
  readonly type: number;
  readonly bytes: Buffer;
  fill: number;
}

/** A sparse file whose map is being collected. Its header lives in `heldBlock`. */
interface PendingSparse {
  readonly header: TarHeader;
  readonly pax: PaxAttributes;
  readonly realSize: number;
  /** Bytes that follow the map in the archive, or, before the map of format 1.0, its own bytes too. */
  dataSize: number;
  readonly map: SparseMap;
  readonly mapReader: SparseMapReader | undefined;
}

/** A file whose data arrive. */
interface FileData {
  /** Bytes of the archive still to come. */
  left: number;
  /** Of a file without a map: where the next byte goes. */
  position: number;
  readonly map: SparseMap | undefined;
  /** Of a file with a map: the current stretch, and how much of it is done. */
  extent: number;
  extentDone: number;
}

/**
 * Takes a tar archive in pieces of any size and hands out its members: v7, ustar, PAX (with GNU's, star's and
 * libarchive's own records) and GNU, whatever they are mixed like. Knows nothing of files. Memory is bounded by the
 * constants above and by the longest sparse map.
 */
export class TarReader {
  readonly #handler: TarMemberHandler;
  readonly #warn: (message: string) => void;
  readonly #limits: TarLimits;

  #state: State = 'header';
  /** Bytes taken in before the current chunk. */
  #bytes = 0;
  #members = 0;
  #lastPath: Uint8Array = new Uint8Array();

  /** A block that came in several chunks. */
  readonly #block = Buffer.alloc(BLOCK_SIZE);
  #blockFill = 0;
  /** The header of a sparse file, kept while its map is read. */
  readonly #heldBlock = Buffer.alloc(BLOCK_SIZE);

  #body: Body = { type: 0, bytes: Buffer.alloc(0), fill: 0 };
  #file: FileData = { left: 0, position: 0, map: undefined, extent: 0, extentDone: 0 };
  #sparse: PendingSparse | undefined;
  #skip = 0;
  /** Data that may follow a hard link: only the next block tells. */
  #linkData = 0;

  /** What came before the next member and is about it. */
  #pax: PaxAttributes | undefined;
  #longName: Uint8Array | undefined;
  #longLink: Uint8Array | undefined;
  readonly #globalRecords = new Map<string, Uint8Array>();
  #warnedOfNfs4Acl = false;

  constructor(handler: TarMemberHandler, { warn, limits }: TarReaderOptions) {
    this.#handler = handler;
    this.#warn = warn;
    this.#limits = limits;
  }

  /** Bytes taken in so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Takes the next bytes.
   *
   * @throws RdpullError `tar-malformed`, `stream-unsupported`, `stream-trailing-data`, and what the handler throws
   */
  write(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) at += this.#take(chunk, at);
    this.#bytes += chunk.length;
  }

  /**
   * The archive has ended. One block of zeros is enough of an end-of-archive marker, as for GNU tar.
   *
   * @throws RdpullError `stream-truncated`, `tar-malformed`
   */
  finish(): void {
    if (this.#state === 'end') return;
    if (this.#bytes < BLOCK_SIZE) {
      throw malformed(`the file is not a tar archive: it is only ${this.#bytes} bytes long`);
    }
    const where =
      this.#state === 'data'
        ? `within the file ${printableName(this.#lastPath)}, ${this.#file.left} bytes of which are missing`
        : `after ${this.#members} members, without its end-of-archive marker`;
    throw truncated(`the tar archive ends early: after ${this.#bytes} bytes, ${where}`);
  }

  /** Takes some of `chunk` from `at` on, at least a byte. Returns how much. */
  #take(chunk: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'header':
      case 'sparse-extension':
      case 'sparse-map':
        return this.#takeBlock(chunk, at);
      case 'body':
        return this.#takeBody(chunk, at);
      case 'data':
        return this.#takeData(chunk, at);
      case 'skip': {
        const taken = Math.min(chunk.length - at, this.#skip);
        this.#skipNext(this.#skip - taken);
        return taken;
      }
      case 'end':
        return this.#takePadding(chunk, at);
    }
  }

  #takeBlock(chunk: Uint8Array, at: number): number {
    if (this.#blockFill === 0 && chunk.length - at >= BLOCK_SIZE) {
      this.#useBlock(chunk.subarray(at, at + BLOCK_SIZE), this.#bytes + at);
      return BLOCK_SIZE;
    }
    const taken = Math.min(chunk.length - at, BLOCK_SIZE - this.#blockFill);
    this.#block.set(chunk.subarray(at, at + taken), this.#blockFill);
    this.#blockFill += taken;
    if (this.#blockFill === BLOCK_SIZE) {
      this.#blockFill = 0;
      this.#useBlock(this.#block, this.#bytes + at + taken - BLOCK_SIZE);
    }
    return taken;
  }

  #useBlock(block: Uint8Array, position: number): void {
    if (this.#sparse === undefined) this.#useHeader(block, position);
    else this.#useSparseMap(this.#sparse, block);
  }

  #useHeader(block: Uint8Array, position: number): void {
    const kind = classifyBlock(block);
    const linkData = this.#linkData;
    this.#linkData = 0;
    if (kind === 'zeros') {
      this.#state = 'end';
    } else if (kind === 'header') {
      this.#useTypedHeader(block, parseHeader(block));
    } else if (linkData > 0) {
      this.#skipNext(paddedSize(linkData) - BLOCK_SIZE);
    } else if (position === 0) {
      throw malformed('the file is not a tar archive (its first header block has a wrong checksum)');
    } else {
      throw malformed(
        `the tar archive is damaged: at byte ${position}, after ${printableName(this.#lastPath)}, there is no header`,
      );
    }
  }

  #useTypedHeader(block: Uint8Array, header: TarHeader): void {
    if (header.size < 0) throw malformed('the tar archive holds a member of a negative size');
    switch (header.type) {
      case TYPE.pax:
      case TYPE.solarisPax:
      case TYPE.globalPax:
        this.#collect(header, MAX_PAX_SIZE, 'an extended (PAX) header');
        break;
      case TYPE.gnuLongName:
      case TYPE.gnuLongLink:
        this.#collect(header, MAX_LONG_NAME_SIZE, 'a file name');
        break;
      case TYPE.gnuVolumeLabel:
        this.#forgetPreceding();
        this.#skipNext(paddedSize(header.size));
        break;
      case TYPE.gnuMultiVolume:
        throw unsupported(
          'the tar archive is one volume of several: it begins with the rest of a file',
          'pack the tarball without --multi-volume',
        );
      default:
        this.#useMember(block, header);
    }
  }

  // ---- What precedes a member

  #collect(header: TarHeader, maxSize: number, what: string): void {
    if (header.size > maxSize) {
      throw beyondBounds(
        `the tar archive holds ${what} of ${header.size} bytes; rdpull takes ${maxSize} at most`,
        'check whether the tarball is what it should be; if it is, pack it without --sparse or with fewer attributes',
      );
    }
    this.#body = { type: header.type, bytes: Buffer.alloc(header.size), fill: 0 };
    this.#state = 'body';
    if (header.size === 0) this.#useBody();
  }

  #takeBody(chunk: Uint8Array, at: number): number {
    const body = this.#body;
    const taken = Math.min(chunk.length - at, body.bytes.length - body.fill);
    body.bytes.set(chunk.subarray(at, at + taken), body.fill);
    body.fill += taken;
    if (body.fill === body.bytes.length) this.#useBody();
    return taken;
  }

  #useBody(): void {
    const { type, bytes } = this.#body;
    this.#skipNext(paddedSize(bytes.length) - bytes.length);
    switch (type) {
      case TYPE.gnuLongName:
        this.#longName = untilNul(bytes);
        break;
      case TYPE.gnuLongLink:
        this.#longLink = untilNul(bytes);
        break;
      case TYPE.globalPax:
        this.#useGlobalRecords(bytes);
        break;
      default:
        this.#pax = this.#globalAttributes();
        for (const [key, value] of paxRecords(bytes)) enterPaxRecord(this.#pax, key, value);
        this.#limitAttributes(this.#pax);
    }
  }

  #useGlobalRecords(bytes: Buffer): void {
    for (const [key, value] of paxRecords(bytes)) {
      if (isAttributeKey(key)) {
        // A few bytes of archive for each file, a megabyte of attributes on each: no tool packs like that.
        throw unsupported(
          'the tar archive gives all its members the same extended attributes in a global (PAX) header',
          'check whether the tarball is what it should be; if it is, pack it with the attributes of each file',
        );
      }
      // A copy, or else one short record would keep its whole header in memory.
      if (isGlobalKey(key)) this.#globalRecords.set(key, Buffer.from(value));
    }
  }

  #limitAttributes({ xattrs, accessAcl, defaultAcl }: PaxAttributes): void {
    let size = (accessAcl?.length ?? 0) + (defaultAcl?.length ?? 0);
    for (const [name, value] of xattrs) size += name.length + value.length;
    const { xattr: most } = this.#limits;
    if (size <= most) return;
    throw beyondLimit(
      'xattr',
      most,
      `the member after ${printableName(this.#lastPath)} has ${size} bytes of extended attributes; the limit is ${most}`,
    );
  }

  #globalAttributes(): PaxAttributes {
    const attributes = noPaxAttributes();
    for (const [key, value] of this.#globalRecords) enterPaxRecord(attributes, key, value);
    return attributes;
  }

  // ---- Members

  #useMember(block: Uint8Array, header: TarHeader): void {
    const hasPax = this.#pax !== undefined;
    const pax = this.#pax ?? this.#globalAttributes();
    const size = pax.size ?? header.size;

    if (header.type === TYPE.gnuSparse || (isFile(header.type) && sparseFormat(pax.sparse) !== 'none')) {
      this.#heldBlock.set(block);
      this.#useSparseHeader(parseHeader(this.#heldBlock), pax, size);
      return;
    }

    const member = this.#describe(header, pax, size);
    if (member.type === 'file') {
      this.#beginFile(member, size);
      return;
    }
    this.#announce(member);
    switch (header.type) {
      case TYPE.hardLink:
        // Data may follow in the PAX format alone, and there only if somebody wanted it (pax -o linkdata); others
        // write the size of the file, but no data.
        if (!hasPax) this.#linkData = size;
        this.#skipNext(hasPax ? paddedSize(size) : 0);
        break;
      case TYPE.symbolicLink:
      case TYPE.characterDevice:
      case TYPE.blockDevice:
      case TYPE.fifo:
      case TYPE.directory: // where a size is a limit for the directory (POSIX)
        this.#skipNext(0);
        break;
      default:
        this.#skipNext(paddedSize(size));
    }
  }

  #describe(header: TarHeader, pax: PaxAttributes, size: number): TarMember {
    const path = pax.path ?? this.#longName ?? header.name;
    const target = pax.linkPath ?? this.#longLink ?? header.linkName;
    const attributes = this.#attributes(header, pax, path);
    switch (header.type) {
      case TYPE.hardLink:
        return { type: 'hard-link', path, target, attributes };
      case TYPE.symbolicLink:
        return { type: 'symbolic-link', path, target, attributes };
      case TYPE.characterDevice:
      case TYPE.blockDevice: {
        const kind = header.type === TYPE.characterDevice ? 'character' : 'block';
        const major = pax.deviceMajor ?? header.deviceMajor;
        const minor = pax.deviceMinor ?? header.deviceMinor;
        if (major < 0 || major > MAX_DEVICE_MAJOR || minor < 0 || minor > MAX_DEVICE_MINOR) {
          throw malformed(`the device ${printableName(path)} has the impossible number ${major}:${minor}`);
        }
        return { type: 'device', path, kind, major, minor, attributes };
      }
      case TYPE.fifo:
        return { type: 'fifo', path, attributes };
      case TYPE.directory:
      case TYPE.gnuDirectoryDump:
        return { type: 'directory', path, attributes };
    }
    if (!isFile(header.type)) {
      const type = quoted(String.fromCharCode(header.type));
      this.#warn(`${printableName(path)} is of the unknown type ${type}: unpacked as a regular file`);
    } else if (path.at(-1) === 0x2f) {
      return { type: 'directory', path, attributes }; // v7 has no type for it
    }
    return { type: 'file', path, size, map: undefined, attributes };
  }

  #attributes(header: TarHeader, pax: PaxAttributes, path: Uint8Array): MemberAttributes {
    const uid = pax.uid ?? header.uid;
    const gid = pax.gid ?? header.gid;
    if (uid < 0 || uid > MAX_ID || gid < 0 || gid > MAX_ID) {
      throw malformed(`${printableName(path)} belongs to the impossible user ${uid} or group ${gid}`);
    }
    if (pax.hasNfs4Acl && !this.#warnedOfNfs4Acl) {
      this.#warnedOfNfs4Acl = true;
      this.#warn(`${printableName(path)}, and maybe more, has an NFSv4 ACL: unpacked without`);
    }
    return {
      mode: header.mode,
      uid,
      gid,
      mtime: pax.mtime ?? header.mtime,
      accessAcl: takeAcl(pax, XATTR_NAME_POSIX_ACL_ACCESS, pax.accessAcl, path),
      defaultAcl: takeAcl(pax, XATTR_NAME_POSIX_ACL_DEFAULT, pax.defaultAcl, path),
      xattrs: pax.xattrs,
    };
  }

  #announce(member: TarMember): void {
    this.#members++;
    // A copy, which slice() of a Buffer would not be: errors name it after the next chunk has come.
    this.#lastPath = new Uint8Array(member.path);
    this.#handler.member(member);
    this.#forgetPreceding();
  }

  /** What came before a member is about that one alone. */
  #forgetPreceding(): void {
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
  }

  #beginFile(member: TarMember & { type: 'file' }, dataSize: number): void {
    const { file: most } = this.#limits;
    if (member.size > most) {
      throw beyondLimit(
        'file',
        most,
        `the file ${printableName(member.path)} has ${member.size} bytes, holes included; the limit is ${most}`,
      );
    }
    this.#announce(member);
    this.#file = { left: dataSize, position: 0, map: member.map, extent: 0, extentDone: 0 };
    this.#skip = paddedSize(dataSize) - dataSize;
    this.#state = 'data';
    if (dataSize === 0) this.#endFile();
  }

  #endFile(): void {
    this.#handler.fileEnd();
    this.#skipNext(this.#skip);
  }

  #takeData(chunk: Uint8Array, at: number): number {
    const file = this.#file;
    let taken = Math.min(chunk.length - at, file.left);
    let position = file.position;
    if (file.map === undefined) {
      file.position += taken;
    } else {
      const length = file.map.lengths[file.extent] ?? 0;
      position = (file.map.offsets[file.extent] ?? 0) + file.extentDone;
      taken = Math.min(taken, length - file.extentDone);
      file.extentDone += taken;
      if (file.extentDone === length) {
        file.extent++;
        file.extentDone = 0;
      }
    }
    file.left -= taken;
    this.#handler.fileData(chunk.subarray(at, at + taken), position);
    if (file.left === 0) this.#endFile();
    return taken;
  }

  // ---- Sparse files

  #useSparseHeader(header: TarHeader, pax: PaxAttributes, size: number): void {
    if (header.type === TYPE.gnuSparse) {
      const map = new SparseMap();
      const { realSize, continued } = readGnuSparseHeader(this.#heldBlock, map);
      this.#sparse = { header, pax, realSize, dataSize: size, map, mapReader: undefined };
      if (continued) this.#state = 'sparse-extension';
      else this.#beginSparseFile(this.#sparse);
      return;
    }
    const realSize = pax.sparse?.realSize;
    if (pax.sparse === undefined || realSize === undefined) {
      throw malformed('the tar archive holds a sparse file without its real size');
    }
    if (sparseFormat(pax.sparse) === 'map-in-header') {
      const { map } = pax.sparse;
      this.#beginSparseFile({ header, pax, realSize, dataSize: size, map, mapReader: undefined });
    } else {
      const mapReader = new SparseMapReader();
      this.#sparse = { header, pax, realSize, dataSize: size, map: mapReader.map, mapReader };
      this.#state = 'sparse-map';
    }
  }

  #useSparseMap(sparse: PendingSparse, block: Uint8Array): void {
    if (sparse.mapReader === undefined) {
      if (!readGnuSparseExtension(block, sparse.map)) this.#beginSparseFile(sparse);
      return;
    }
    sparse.dataSize -= BLOCK_SIZE;
    const complete = sparse.mapReader.take(block);
    if (complete) this.#beginSparseFile(sparse);
    else if (sparse.dataSize < BLOCK_SIZE)
      throw malformed('the tar archive holds a sparse file whose map is cut off');
  }

  #beginSparseFile({ header, pax, realSize, dataSize, map }: PendingSparse): void {
    this.#sparse = undefined;
    const path = pax.sparse?.name ?? pax.path ?? this.#longName ?? header.name;
    if (map.dataSize !== dataSize || map.end > realSize) {
      throw malformed(`the map of the sparse file ${printableName(path)} contradicts its size`);
    }
    const attributes = this.#attributes(header, pax, path);
    this.#beginFile({ type: 'file', path, size: realSize, map, attributes }, dataSize);
  }

  // ---- Between and after the members

  /** Goes on to the next header after `count` bytes. */
  #skipNext(count: number): void {
    this.#skip = count;
    this.#state = count > 0 ? 'skip' : 'header';
  }

  #takePadding(chunk: Uint8Array, at: number): number {
    for (let i = at; i < chunk.length; i++) {
      if (chunk[i] !== 0) {
        if (this.#members === 0)
          throw malformed('the file is not a tar archive (it begins with a block of zeros)');
        throw trailingData(
          `the tar archive ends after ${this.#members} members, but other data follow its end at byte ${this.#bytes + i}`,
        );
      }
    }
    return chunk.length - at;
  }
}

function isFile(type: number): boolean {
  return type === TYPE.file || type === TYPE.oldFile || type === TYPE.contiguousFile;
}

function paddedSize(size: number): number {
  return Math.ceil(size / BLOCK_SIZE) * BLOCK_SIZE;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

/** Takes an ACL out of the attributes: its binary form, which needs no names looked up, or else the text. */
function takeAcl(
  pax: PaxAttributes,
  xattr: string,
  text: Uint8Array | undefined,
  path: Uint8Array,
): Acl | undefined {
  const binary = pax.xattrs.get(xattr);
  if (binary !== undefined) {
    pax.xattrs.delete(xattr);
    return binary;
  }
  if (text === undefined) return undefined;
  const entries: readonly AclEntry[] | undefined = parseAclText(Buffer.from(text).toString('latin1'));
  if (entries === undefined)
    throw malformed(`${printableName(path)} has an ACL that is not in the form of acl(5)`);
  return entries;
}
