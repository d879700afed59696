import type { AccountNames } from './account-names.ts';
import type { AclEntry } from './posix-acl.ts';
import type { Acl } from './tar-member.ts';

/** What the first byte says of the others. */
const BINARY = 0;
const ENTRIES = 1;

/** An entry: tag, permissions, what the id is, and the id or the number of a name; 8 bytes as the kernel's own. */
const ENTRY_BYTES = 8;
const NOBODY = 0;
const ID = 1;
const NAME = 2;

/** An ACL that has to wait, in memory of its own, and not much of it. */
export function packAcl(acl: Acl, names: AccountNames): Uint8Array {
  if (acl instanceof Uint8Array) {
    const packed = new Uint8Array(1 + acl.length);
    packed[0] = BINARY;
    packed.set(acl, 1);
    return packed;
  }
  const packed = new Uint8Array(1 + ENTRY_BYTES * acl.length);
  packed[0] = ENTRIES;
  const view = new DataView(packed.buffer);
  for (const [index, { tag, permissions, who }] of acl.entries()) {
    const at = 1 + ENTRY_BYTES * index;
    view.setUint8(at, tag);
    view.setUint8(at + 1, permissions);
    view.setUint8(at + 2, who === undefined ? NOBODY : typeof who === 'number' ? ID : NAME);
    view.setUint32(at + 4, typeof who === 'string' ? names.numberOf(who) : (who ?? 0));
  }
  return packed;
}

/** The ACL that {@link packAcl} was given. */
export function unpackAcl(packed: Uint8Array, names: AccountNames): Acl {
  if (packed[0] === BINARY) return packed.subarray(1);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const entries: AclEntry[] = [];
  for (let at = 1; at < packed.length; at += ENTRY_BYTES) {
    const kind = view.getUint8(at + 2);
    const number = view.getUint32(at + 4);
    const id = kind === ID ? number : undefined;
    entries.push({
      tag: view.getUint8(at),
      permissions: view.getUint8(at + 1),
      who: kind === NAME ? names.nameOf(number) : id,
    });
  }
  return entries;
}
