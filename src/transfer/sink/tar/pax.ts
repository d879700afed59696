import { printable } from '../../../console/printable.ts';
import { XATTR_NAME_MAX, XATTR_SIZE_MAX } from '../../../kernel/name-limits.ts';
import { printableName } from './printable-name.ts';
import { readSparseMap01, SparseMap } from './sparse-map.ts';
import { malformed, unsupported } from './tar-error.ts';
import { startsWith, type Timestamp } from './tar-header.ts';

/** Longer numbers make no sense, but would be read again for each member when a global header has them. */
const MAX_NUMBER_LENGTH = 64;

/**
 * What the PAX extended headers before a member say about it (POSIX.1-2017 pax, "pax Header Block"); `undefined` is
 * for what they leave to the member's own header.
 */
export interface PaxAttributes {
  path: Uint8Array | undefined;
  linkPath: Uint8Array | undefined;
  size: number | undefined;
  uid: number | undefined;
  gid: number | undefined;
  mtime: Timestamp | undefined;
  deviceMajor: number | undefined;
  deviceMinor: number | undefined;
  /** Extended attributes by name (a character per byte), with their bytes. */
  readonly xattrs: Map<string, Uint8Array>;
  /** POSIX ACLs in their text form. */
  accessAcl: Uint8Array | undefined;
  defaultAcl: Uint8Array | undefined;
  /** Whether there was an NFSv4 ACL, which Linux's own file systems cannot hold. */
  hasNfs4Acl: boolean;
  sparse: PaxSparse | undefined;
}

/** The GNU.sparse records: format 0.0 and 0.1 hold the map, of 1.0 it leads the data. */
export interface PaxSparse {
  major: number;
  minor: number;
  name: Uint8Array | undefined;
  realSize: number | undefined;
  map: SparseMap;
  /** The offset of format 0.0 that waits for its length. */
  offset: number | undefined;
}

export function noPaxAttributes(): PaxAttributes {
  return {
    path: undefined,
    linkPath: undefined,
    size: undefined,
    uid: undefined,
    gid: undefined,
    mtime: undefined,
    deviceMajor: undefined,
    deviceMinor: undefined,
    xattrs: new Map(),
    accessAcl: undefined,
    defaultAcl: undefined,
    hasNfs4Acl: false,
    sparse: undefined,
  };
}

/**
 * Splits the body of an extended header into its records, "length key=value\n": the key as text, a character per
 * byte, and the value as a view of `body`.
 *
 * @throws RdpullError `tar-malformed`
 */
export function* paxRecords(body: Uint8Array): Generator<[key: string, value: Uint8Array]> {
  const records = new PaxRecords(body);
  while (records.next()) yield [records.key, body.subarray(records.start, records.end)];
}

/**
 * As {@link enterPaxRecord}, with all records of a body.
 *
 * @throws RdpullError `tar-malformed`
 */
export function enterPaxRecords(into: PaxAttributes, body: Uint8Array): void {
  const records = new PaxRecords(body);
  while (records.next()) {
    const { key, start, end } = records;
    // What GNU tar writes with each member, and nobody needs.
    if (key === 'atime' || key === 'ctime') continue;
    enterPaxRecord(into, key, body.subarray(start, end));
  }
}

/** The records of a body, one after the other: a generator would be a part of what is done for each member that can be seen. */
class PaxRecords {
  key = '';
  /** Where the value lies. */
  start = 0;
  end = 0;
  readonly #body: Uint8Array;
  #at = 0;

  constructor(body: Uint8Array) {
    this.#body = body;
  }

  /**
   * @returns whether there is another one
   * @throws RdpullError `tar-malformed`
   */
  next(): boolean {
    const body = this.#body;
    const start = this.#at;
    if (start >= body.length) return false;
    let at = start;
    let length = 0;
    for (; isDigit(body[at]) && length <= body.length; at++) length = length * 10 + digitAt(body, at);
    const end = start + length;
    const hasLength = at > start && body[at] === 0x20 && end <= body.length && body[end - 1] === 0x0a;
    let equals = at + 1;
    while (hasLength && equals < end && body[equals] !== 0x3d) equals++;
    if (!hasLength || equals >= end) {
      throw malformed('an extended (PAX) header of the tar archive is not a list of records');
    }
    this.key = keyIn(body, at + 1, equals);
    this.start = equals + 1;
    this.end = end - 1;
    this.#at = end;
    return true;
  }
}

/** Keys that were met, each at the place that its bytes lead to: every member of an archive has the same few. */
const KEYS_MAX = 64;
const KEYS = Array.from({ length: KEYS_MAX }, () => '');
const KEY_LENGTH_MAX = 32;

/** The key that is these bytes of `body`, a character per byte. */
function keyIn(body: Uint8Array, start: number, end: number): string {
  const length = end - start;
  const place = ((body[start] ?? 0) * 31 + (body[end - 1] ?? 0) * 7 + length) % KEYS_MAX;
  const known = KEYS[place];
  if (known?.length === length && startsWith(body, start, known)) return known;
  const key = text(body.subarray(start, end));
  if (length <= KEY_LENGTH_MAX) KEYS[place] = key;
  return key;
}

/** Whether a key sets an extended attribute or an ACL. */
export function isAttributeKey(key: string): boolean {
  return (
    key.startsWith('SCHILY.xattr.') ||
    key.startsWith('LIBARCHIVE.xattr.') ||
    key === 'SCHILY.acl.access' ||
    key === 'SCHILY.acl.default' ||
    key === 'RHT.security.selinux'
  );
}

const GLOBAL_KEYS: ReadonlySet<string> = new Set([
  'path',
  'linkpath',
  'uid',
  'gid',
  'mtime',
  'SCHILY.devmajor',
  'SCHILY.devminor',
  'SCHILY.acl.ace',
]);

/** Whether a key means something for all members: the others of a global header need not be kept, nor read again. */
export function isGlobalKey(key: string): boolean {
  return GLOBAL_KEYS.has(key);
}

/**
 * Enters one record. An empty value takes back what a header said before (POSIX), except for an extended attribute,
 * which may well be empty. Unknown keys (comments, access times, names of owners) are ignored, as POSIX wants it.
 *
 * @throws RdpullError `tar-malformed` when the value is not of its key's form
 */
export function enterPaxRecord(into: PaxAttributes, key: string, value: Uint8Array): void {
  if (key.startsWith('SCHILY.xattr.')) {
    // GNU tar hides these two characters, which a key cannot hold.
    const name = key.slice('SCHILY.xattr.'.length).replace(/%(3D|25)/g, percentCharacter);
    enterXattr(into, name, value);
  } else if (key.startsWith('LIBARCHIVE.xattr.')) {
    // libarchive writes both forms; the other one needs no decoding.
    const name = key.slice('LIBARCHIVE.xattr.'.length).replace(/%([0-9A-Fa-f]{2})/g, percentCharacter);
    if (!into.xattrs.has(name)) enterXattr(into, name, base64(key, value));
  } else if (key.startsWith('GNU.sparse.')) {
    enterSparse(into, key, value);
  } else {
    enterField(into, key, value);
  }
}

function enterField(into: PaxAttributes, key: string, value: Uint8Array): void {
  const given = value.length > 0;
  switch (key) {
    case 'path':
      into.path = given ? value : undefined;
      break;
    case 'linkpath':
      into.linkPath = given ? value : undefined;
      break;
    case 'size':
      into.size = given ? decimal(key, value) : undefined;
      break;
    case 'uid':
      into.uid = given ? decimal(key, value) : undefined;
      break;
    case 'gid':
      into.gid = given ? decimal(key, value) : undefined;
      break;
    case 'mtime':
      into.mtime = given ? timestamp(key, value) : undefined;
      break;
    case 'SCHILY.devmajor':
      into.deviceMajor = given ? decimal(key, value) : undefined;
      break;
    case 'SCHILY.devminor':
      into.deviceMinor = given ? decimal(key, value) : undefined;
      break;
    case 'SCHILY.acl.access':
      into.accessAcl = given ? value : undefined;
      break;
    case 'SCHILY.acl.default':
      into.defaultAcl = given ? value : undefined;
      break;
    case 'SCHILY.acl.ace':
      into.hasNfs4Acl = given;
      break;
    case 'RHT.security.selinux':
      // GNU tar --selinux. The kernel's own value ends in a NUL, this one does not.
      if (given) enterXattr(into, 'security.selinux', Buffer.concat([value, Buffer.from([0])]));
      break;
  }
}

function enterXattr(into: PaxAttributes, name: string, value: Uint8Array): void {
  if (name.length === 0 || name.length > XATTR_NAME_MAX || name.includes('\0')) {
    throw malformed('the tar archive names an extended attribute that cannot exist');
  }
  if (value.length > XATTR_SIZE_MAX) {
    throw malformed(
      `the tar archive holds an extended attribute of ${value.length} bytes; Linux allows ${XATTR_SIZE_MAX}`,
    );
  }
  into.xattrs.set(name, value);
}

function enterSparse(into: PaxAttributes, key: string, value: Uint8Array): void {
  into.sparse ??= {
    major: 0,
    minor: 0,
    name: undefined,
    realSize: undefined,
    map: new SparseMap(),
    offset: undefined,
  };
  const sparse = into.sparse;
  switch (key) {
    case 'GNU.sparse.major':
      sparse.major = decimal(key, value);
      break;
    case 'GNU.sparse.minor':
      sparse.minor = decimal(key, value);
      break;
    case 'GNU.sparse.name':
      sparse.name = value;
      break;
    case 'GNU.sparse.realsize':
    case 'GNU.sparse.size':
      sparse.realSize = decimal(key, value);
      break;
    case 'GNU.sparse.map':
      sparse.map = readSparseMap01(text(value));
      break;
    case 'GNU.sparse.offset':
      sparse.offset = decimal(key, value);
      break;
    case 'GNU.sparse.numbytes':
      if (sparse.offset === undefined) throw invalid(key, value);
      sparse.map.add(sparse.offset, decimal(key, value));
      sparse.offset = undefined;
      break;
  }
}

/** Whether the records describe a sparse file, and in a format we know. */
export function sparseFormat(sparse: PaxSparse | undefined): 'none' | 'map-in-header' | 'map-in-data' {
  if (sparse === undefined) return 'none';
  if (sparse.major === 0 && sparse.minor <= 1)
    return sparse.realSize === undefined ? 'none' : 'map-in-header';
  if (sparse.major === 1 && sparse.minor === 0) return 'map-in-data';
  throw unsupported(
    `the tar archive holds a sparse file of the unknown format ${sparse.major}.${sparse.minor}`,
    'pack the tarball with --sparse-version=1.0 or without --sparse',
  );
}

function decimal(key: string, value: Uint8Array): number {
  if (value.length > MAX_NUMBER_LENGTH) throw invalid(key, value);
  const digits = text(value);
  const number = Number(digits);
  if (!/^\d+$/.test(digits) || !Number.isSafeInteger(number)) throw invalid(key, value);
  return number;
}

/** "[-]seconds[.fraction]", rounded down to the nanosecond. */
function timestamp(key: string, value: Uint8Array): Timestamp {
  if (value.length > MAX_NUMBER_LENGTH) throw invalid(key, value);
  const isNegative = value[0] === 0x2d;
  const first = isNegative ? 1 : 0;
  let at = first;
  let seconds = 0;
  for (; isDigit(value[at]); at++) seconds = seconds * 10 + digitAt(value, at);
  if (at === first || !Number.isSafeInteger(seconds)) throw invalid(key, value);
  let nanoseconds = 0;
  /** What there is beyond the nanoseconds. */
  let cut = 0;
  if (value[at] === 0x2e) {
    let unit = 1e8;
    for (at++; isDigit(value[at]); at++) {
      const digit = digitAt(value, at);
      nanoseconds += digit * unit;
      if (unit === 0 && digit > 0) cut = 1;
      unit = Math.floor(unit / 10);
    }
  }
  if (at < value.length) throw invalid(key, value);
  if (!isNegative) return { seconds, nanoseconds };
  const below = nanoseconds + cut;
  return below === 0
    ? { seconds: -seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - below };
}

function base64(key: string, value: Uint8Array): Uint8Array {
  const encoded = text(value);
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) throw invalid(key, value);
  return Buffer.from(encoded, 'base64');
}

function percentCharacter(_: string, hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

function text(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
}

function digitAt(value: Uint8Array, at: number): number {
  return (value[at] ?? 0) - 0x30;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function invalid(key: string, value: Uint8Array): Error {
  return malformed(
    `an extended (PAX) header of the tar archive has an invalid ${printable(key)}: ${printableName(value.subarray(0, 40))}`,
  );
}
