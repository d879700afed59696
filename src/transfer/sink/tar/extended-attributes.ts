import fs from 'node:fs';
import { printable } from '../../../console/printable.ts';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import type { AccountNames } from './account-names.ts';
import type { MemberPath } from './member-path.ts';
import { type AclEntry, encodeAcl, hasNames, XATTR_NAME_POSIX_ACL_ACCESS } from './posix-acl.ts';
import { printableName } from './printable-name.ts';
import { malformed, unsupported } from './tar-error.ts';
import type { Acl } from './tar-member.ts';

/** Those of xattr(7). What an archive calls its own is all one: its names are not to fill our memory. */
const NAMESPACES = ['user.', 'security.', 'system.', 'trusted.'] as const;

/** Sets one extended attribute of the member at hand. `name` holds a character per byte. */
export type SetAttribute = (name: string, value: Uint8Array) => void;

export interface ExtendedAttributesContext {
  /** The target directory. */
  readonly target: string;
  /** The member at hand. */
  readonly path: MemberPath;
  readonly accounts: AccountNames;
  /** Something was lost that the tree can do without. */
  readonly warn: (message: string) => void;
}

/** Gives members their extended attributes and ACLs, and decides which ones a tree can do without. */
export class ExtendedAttributes {
  readonly #context: ExtendedAttributesContext;
  readonly #warnedOf = new Set<string>();

  constructor(context: ExtendedAttributesContext) {
    this.#context = context;
  }

  /** @throws RdpullError `storage-failed` when the file system cannot hold one that matters; SystemCallError */
  set(xattrs: ReadonlyMap<string, Uint8Array>, set: SetAttribute): void {
    if (xattrs.size === 0) return;
    for (const [name, value] of xattrs) {
      try {
        set(name, value);
      } catch (error) {
        if (!canDoWithout(name, error)) throw this.#unstorable(name, error);
        this.#warn(name, error.code);
      }
    }
  }

  /**
   * Sets an access ACL, unless it has names in it: then it has to wait until the archive's /etc is there.
   *
   * @returns the entries that have to wait
   */
  setAccessAcl(acl: Acl, set: SetAttribute): readonly AclEntry[] | undefined {
    if (isEntries(acl) && hasNames(acl)) return acl;
    this.setAcl(XATTR_NAME_POSIX_ACL_ACCESS, acl, set);
    return undefined;
  }

  /**
   * Sets an ACL, looking up the names in it.
   *
   * @throws RdpullError `stream-unsupported` when nobody knows a name, `tar-malformed` when the kernel refuses it,
   *   `storage-failed` when the file system cannot hold it; SystemCallError
   */
  setAcl(name: string, acl: Acl, set: SetAttribute): void {
    const value = isEntries(acl) ? encodeAcl(acl, (kind, account) => this.#idOf(kind, account)) : acl;
    try {
      set(name, value);
    } catch (error) {
      if (!isSystemError(error, 'EINVAL')) throw this.#unstorable(name, error);
      throw malformed(`${this.#context.path.printable()} has an ACL that the kernel does not take`);
    }
  }

  #idOf(kind: 'user' | 'group', name: string): number {
    const id = this.#context.accounts.idOf(kind, name);
    if (id !== undefined) return id;
    throw unsupported(
      `${this.#context.path.printable()} has an ACL for the ${kind} ${printableBytes(name)}, ` +
        `who is neither in the archive's /etc nor on this system`,
      "pack the tarball with the ids: tar --xattrs --xattrs-include='*'",
    );
  }

  /** Once for each kind: what one file cannot have, thousands will not have either. */
  #warn(name: string, reason: string): void {
    const kind = `${NAMESPACES.find((each) => name.startsWith(each))} ${reason}`;
    if (this.#warnedOf.has(kind)) return;
    this.#warnedOf.add(kind);
    const member = this.#context.path.printable();
    this.#context.warn(
      `${member}, and maybe more, is unpacked without its extended attribute ${printableBytes(name)}: ${reason}`,
    );
  }

  /** An attribute that cannot be stored at all, as opposed to a disk that is full: what ext4 too calls ENOSPC. */
  #unstorable(name: string, error: unknown): unknown {
    const { target, path } = this.#context;
    if (!isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOSPC', 'E2BIG', 'ERANGE')) return error;
    if (isSystemError(error, 'ENOSPC') && fs.statfsSync(target).bavail === 0) return error;
    return new RdpullError(
      'storage-failed',
      `${path.printable()} cannot have its extended attribute ${printableBytes(name)} ` +
        `in ${printable(target)}: ${error.message}`,
      'choose a target directory on a file system that can hold it, such as tmpfs or ext4',
      { cause: error },
    );
  }
}

/**
 * Whether a tree is good enough without an extended attribute that could not be set: `user.*`, which tmpfs has only
 * since Linux 6.6; labels of security modules, which may be absent or not know them; and the namespaces of other
 * systems. File capabilities and `trusted.*` (overlayfs's whiteouts) are what a system runs by.
 */
function canDoWithout(name: string, error: unknown): error is Error & { code: string } {
  if (name === 'security.capability' || name.startsWith('trusted.')) return false;
  if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP')) return true;
  if (name.startsWith('user.')) return isSystemError(error, 'EPERM'); // of a link or device, as BSDs have them
  return name.startsWith('security.') && isSystemError(error, 'EPERM', 'EINVAL');
}

function isEntries(acl: Acl): acl is readonly AclEntry[] {
  return Array.isArray(acl);
}

function printableBytes(characters: string): string {
  return printableName(Buffer.from(characters, 'latin1'));
}
