import type { MemberPath } from '../tar/member-path.ts';
import { escapes, malformed } from '../tar/tar-error.ts';

/**
 * The names by which a layer says what of the layers below is gone (OCI image specification, layer.md, "Whiteouts"). No
 * file can have such a name. The type of the member does not matter: AUFS made hard links of them.
 */
const WHITEOUT_PREFIX = Buffer.from('.wh.');
/** Of AUFS's own directories and links, which old images have, and which are no part of the tree. */
const WHITEOUT_META_PREFIX = Buffer.from('.wh..wh.');
const WHITEOUT_OPAQUE = Buffer.from('.wh..wh..opq');

const DOT = 0x2e;

/** What a member says of the layers below. */
export type Whiteout =
  /** Nothing: it is a part of the tree. */
  | 'none'
  /** Nothing, and it is no part of the tree either. */
  | 'ignored'
  /** What is in its directory is gone. */
  | 'opaque'
  /** The name without the prefix is gone. */
  | 'hidden';

/**
 * @throws RdpullError `tar-malformed` when a marker is not the last name, or names nothing; `tar-escape` when it names `.` or
 *   `..`
 */
export function whiteoutOf(path: MemberPath): Whiteout {
  const last = path.depth - 1;
  // Nearly all members: one look for the prefix, wherever it is.
  if (last < 0 || !contains(path.bytes(path.depth), WHITEOUT_PREFIX)) return 'none';
  if (startsWith(path.nameBytes(0), WHITEOUT_META_PREFIX) && !isOpaque(path, 0)) return 'ignored';
  for (let index = 0; index < last; index++) {
    if (!startsWith(path.nameBytes(index), WHITEOUT_PREFIX)) continue;
    throw malformed(
      `the path ${path.printable()} goes through a whiteout, ${path.printable(index + 1)}, which is no directory`,
    );
  }
  const name = path.nameBytes(last);
  if (!startsWith(name, WHITEOUT_PREFIX)) return 'none';
  if (isOpaque(path, last)) return 'opaque';
  if (startsWith(name, WHITEOUT_META_PREFIX)) return 'ignored';
  const hidden = name.subarray(WHITEOUT_PREFIX.length);
  if (hidden.length === 0) throw malformed(`the whiteout ${path.printable()} does not say what is gone`);
  if (hidden[0] === DOT && (hidden.length === 1 || (hidden.length === 2 && hidden[1] === DOT))) {
    throw escapes(`the whiteout ${path.printable()} is about a directory above it`);
  }
  return 'hidden';
}

/** Makes the path of a whiteout that of what is gone. */
export function toHiddenPath(path: MemberPath): void {
  path.shortenLastName(WHITEOUT_PREFIX.length);
}

function isOpaque(path: MemberPath, index: number): boolean {
  return WHITEOUT_OPAQUE.equals(path.nameBytes(index));
}

function startsWith(name: Uint8Array, prefix: Buffer): boolean {
  return name.length >= prefix.length && prefix.equals(name.subarray(0, prefix.length));
}

function contains(bytes: Uint8Array, part: Buffer): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(part);
}
