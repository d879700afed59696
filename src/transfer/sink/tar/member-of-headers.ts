import { quoted } from '../../../console/printable.ts';
import type { PaxAttributes } from './pax.ts';
import { parseAclText, XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT } from './posix-acl.ts';
import type { Preceding } from './preceding-headers.ts';
import { printableName } from './printable-name.ts';
import type { SparseMap } from './sparse-map.ts';
import { ambiguous, malformed } from './tar-error.ts';
import { type TarHeader, TYPE } from './tar-header.ts';
import type { Acl, MemberAttributes, TarMember } from './tar-member.ts';

/** The kernel's own range of device numbers, linux/kdev_t.h. */
const MAX_DEVICE_MAJOR = 0xfff;
const MAX_DEVICE_MINOR = 0xfffff;
/** (uid_t) -1 means "leave it" to chown(2), so nobody has it. */
const MAX_ID = 0xfffffffe;

const SLASH = 0x2f;

/** Something is lost that the tree can do without. */
export type Warn = (message: string) => void;

/**
 * The member that a header, and what precedes it, are about.
 *
 * @throws RdpullError `tar-malformed`
 */
export function memberOf(header: TarHeader, preceding: Preceding, warn: Warn): TarMember {
  const { pax, longName, longLink } = preceding;
  const path = pax.path ?? longName ?? header.name;
  const attributes = attributesOf(header, pax, path);
  switch (header.type) {
    case TYPE.hardLink:
      return { type: 'hard-link', path, target: pax.linkPath ?? longLink ?? header.linkName, attributes };
    case TYPE.symbolicLink:
      return { type: 'symbolic-link', path, target: pax.linkPath ?? longLink ?? header.linkName, attributes };
    case TYPE.characterDevice:
    case TYPE.blockDevice:
      return { type: 'device', path, ...deviceOf(header, pax, path), attributes };
    case TYPE.fifo:
      return { type: 'fifo', path, attributes };
    case TYPE.directory:
    case TYPE.gnuDirectoryDump:
      return { type: 'directory', path, attributes };
  }
  if (!isFile(header.type)) {
    const type = quoted(String.fromCharCode(header.type));
    const size = pax.size ?? header.size;
    if (size !== header.size || (size > 0 && path.at(-1) === SLASH)) {
      throw ambiguous(`data of ${printableName(path)}, which is of the unknown type ${type}`);
    }
    warn(`${printableName(path)} is of the unknown type ${type}: unpacked as a regular file`);
  } else if (path.at(-1) === SLASH) {
    return { type: 'directory', path, attributes }; // v7 has no type for it, and others write it so, too
  }
  return { type: 'file', path, size: pax.size ?? header.size, map: undefined, attributes };
}

/**
 * The sparse file that a header, and what precedes it, are about.
 *
 * @param dataSize bytes of the archive that are its data
 * @throws RdpullError `tar-malformed`
 */
export function sparseFileOf(
  header: TarHeader,
  { pax, longName }: Preceding,
  {
    map,
    realSize,
    dataSize,
  }: { readonly map: SparseMap; readonly realSize: number; readonly dataSize: number },
): TarMember & { readonly type: 'file' } {
  const path = pax.sparse?.name ?? pax.path ?? longName ?? header.name;
  if (map.dataSize !== dataSize || map.end > realSize) {
    throw malformed(`the map of the sparse file ${printableName(path)} contradicts its size`);
  }
  return { type: 'file', path, size: realSize, map, attributes: attributesOf(header, pax, path) };
}

export function isFile(type: number): boolean {
  return type === TYPE.file || type === TYPE.oldFile || type === TYPE.contiguousFile;
}

function deviceOf(header: TarHeader, pax: PaxAttributes, path: Uint8Array) {
  const major = pax.deviceMajor ?? header.deviceMajor;
  const minor = pax.deviceMinor ?? header.deviceMinor;
  if (major < 0 || major > MAX_DEVICE_MAJOR || minor < 0 || minor > MAX_DEVICE_MINOR) {
    throw malformed(`the device ${printableName(path)} has the impossible number ${major}:${minor}`);
  }
  const kind: 'character' | 'block' = header.type === TYPE.characterDevice ? 'character' : 'block';
  return { kind, major, minor };
}

function attributesOf(header: TarHeader, pax: PaxAttributes, path: Uint8Array): MemberAttributes {
  const uid = pax.uid ?? header.uid;
  const gid = pax.gid ?? header.gid;
  if (uid < 0 || uid > MAX_ID || gid < 0 || gid > MAX_ID) {
    throw malformed(`${printableName(path)} belongs to the impossible user ${uid} or group ${gid}`);
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

/** Takes an ACL out of the attributes: its binary form, which needs no names looked up, or else the text. */
function takeAcl(
  pax: PaxAttributes,
  xattr: string,
  text: Uint8Array | undefined,
  path: Uint8Array,
): Acl | undefined {
  const binary = pax.xattrs.size > 0 ? pax.xattrs.get(xattr) : undefined;
  if (binary !== undefined) {
    pax.xattrs.delete(xattr);
    return binary;
  }
  if (text === undefined) return undefined;
  const entries = parseAclText(text);
  if (entries !== undefined) return entries;
  throw malformed(`${printableName(path)} has an ACL that is not in the form of acl(5), or too long`);
}
