import { XATTR_SIZE_MAX } from '../../../kernel/name-limits.ts';

/** linux/posix_acl.h: who an entry is for. */
const ACL_USER_OBJ = 0x01;
const ACL_USER = 0x02;
const ACL_GROUP_OBJ = 0x04;
const ACL_GROUP = 0x08;
const ACL_MASK = 0x10;
const ACL_OTHER = 0x20;

/** linux/posix_acl_xattr.h */
const POSIX_ACL_XATTR_VERSION = 2;
const ACL_UNDEFINED_ID = 0xffffffff;

/** The extended attributes that hold ACLs, linux/xattr.h. */
export const XATTR_NAME_POSIX_ACL_ACCESS = 'system.posix_acl_access';
export const XATTR_NAME_POSIX_ACL_DEFAULT = 'system.posix_acl_default';

export interface AclEntry {
  readonly tag: number;
  /** 4 read, 2 write, 1 execute. */
  readonly permissions: number;
  /** Of ACL_USER and ACL_GROUP: the id, or the name (its bytes as characters) when the text has only that. */
  readonly who: number | string | undefined;
}

const TAGS = new Map([
  ['user', { owner: ACL_USER_OBJ, named: ACL_USER }],
  ['u', { owner: ACL_USER_OBJ, named: ACL_USER }],
  ['group', { owner: ACL_GROUP_OBJ, named: ACL_GROUP }],
  ['g', { owner: ACL_GROUP_OBJ, named: ACL_GROUP }],
  ['mask', { owner: ACL_MASK, named: undefined }],
  ['m', { owner: ACL_MASK, named: undefined }],
  ['other', { owner: ACL_OTHER, named: undefined }],
  ['o', { owner: ACL_OTHER, named: undefined }],
]);

/**
 * Reads the text form of an ACL (acl(5), "TEXT FORMS"; entries end with a line or a comma). star and bsdtar add the
 * numeric id as a fourth field, which then decides: names mean something only on the system they come from.
 *
 * Returns undefined when `text` is no such list, or one that no file can have.
 */
export function parseAclText(text: Uint8Array): AclEntry[] | undefined {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.length);
  const entries: AclEntry[] = [];
  for (let start = 0; start < bytes.length; ) {
    const end = endOfLine(bytes, start);
    const comment = bytes.subarray(start, end).indexOf(NUMBER_SIGN);
    // No text of the whole: names would keep it, or a copy of a long comment, in memory.
    const entry = bytes.toString('latin1', start, comment === -1 ? end : start + comment).trim();
    start = end + 1;
    if (entry === '') continue;
    const parsed = entry.length > LONGEST_ENTRY ? undefined : parseEntry(entry.split(':'));
    if (parsed === undefined || entries.length === MAX_ENTRIES) return undefined;
    entries.push(parsed);
  }
  return entries;
}

/** As many fit into the value of an extended attribute. */
const MAX_ENTRIES = (XATTR_SIZE_MAX - 4) >> 3;

const NUMBER_SIGN = 0x23;
const COMMA = 0x2c;
const LINE_FEED = 0x0a;
/** Of an entry, in bytes: names of accounts have 255 at most (LOGIN_NAME_MAX, limits.h). */
const LONGEST_ENTRY = 400;

/** A comment ends with the line, or with a comma in it. */
function endOfLine(bytes: Uint8Array, start: number): number {
  for (let at = start; at < bytes.length; at++) {
    if (bytes[at] === COMMA || bytes[at] === LINE_FEED) return at;
  }
  return bytes.length;
}

function parseEntry(fields: string[]): AclEntry | undefined {
  const tag = TAGS.get(fields[0] ?? '');
  if (tag === undefined) return undefined;
  // acl_to_text(3) writes "mask::rwx", libarchive may shorten that to "mask:rwx".
  const short = tag.named === undefined && fields.length === 2;
  const [name = '', mode = '', id = ''] = short ? ['', ...fields.slice(1)] : fields.slice(1);
  const permissions = parsePermissions(mode);
  if (permissions === undefined) return undefined;
  if (name === '' && id === '') return { tag: tag.owner, permissions, who: undefined };
  if (tag.named === undefined) return undefined;
  const digits = id === '' ? name : id;
  if (!/^\d+$/.test(digits)) return id === '' ? { tag: tag.named, permissions, who: name } : undefined;
  const who = Number(digits);
  return who < ACL_UNDEFINED_ID ? { tag: tag.named, permissions, who } : undefined;
}

function parsePermissions(mode: string): number | undefined {
  if (!/^[rwx-]{1,3}$/.test(mode)) return undefined;
  return (mode.includes('r') ? 4 : 0) | (mode.includes('w') ? 2 : 0) | (mode.includes('x') ? 1 : 0);
}

/** Whether `entries` can be encoded without looking up a name. */
export function hasNames(entries: readonly AclEntry[]): boolean {
  return entries.some(({ who }) => typeof who === 'string');
}

/**
 * The value of the extended attribute that the kernel knows this ACL by: struct posix_acl_xattr_header and
 * _entry, linux/posix_acl_xattr.h, little endian, entries by tag and id as the kernel wants them.
 *
 * @param idOf looks a name up, when {@link hasNames}
 */
export function encodeAcl(
  entries: readonly AclEntry[],
  idOf: (kind: 'user' | 'group', name: string) => number,
): Buffer {
  const resolved = entries.map(({ tag, permissions, who }) => {
    const id = typeof who === 'string' ? idOf(tag === ACL_USER ? 'user' : 'group', who) : who;
    return { tag, permissions, id: id ?? ACL_UNDEFINED_ID };
  });
  resolved.sort((a, b) => a.tag - b.tag || a.id - b.id);
  const value = Buffer.alloc(4 + 8 * resolved.length);
  value.writeUInt32LE(POSIX_ACL_XATTR_VERSION);
  for (const [i, { tag, permissions, id }] of resolved.entries()) {
    value.writeUInt16LE(tag, 4 + 8 * i);
    value.writeUInt16LE(permissions, 6 + 8 * i);
    value.writeUInt32LE(id, 8 + 8 * i);
  }
  return value;
}
