import type { AclEntry } from './posix-acl.ts';
import { beyondBounds } from './tar-error.ts';
import type { Timestamp } from './tar-header.ts';
import type { Acl } from './tar-member.ts';

/** What all postponed attributes may take, in bytes: enough for a quarter of a million directories. */
const MAX_BYTES = 64 << 20;
/** A generous estimate of one record without its key and its ACLs, and of one entry of an ACL, in bytes. */
const RECORD_BYTES = 200;
const ACL_ENTRY_BYTES = 80;

/** The attributes of a directory that unpacking into it would change, or that would change what is unpacked. */
export interface DirectoryAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly accessAcl: Acl | undefined;
  readonly defaultAcl: Acl | undefined;
}

/**
 * What can only be applied when everything is unpacked: directories' attributes, and ACLs with names in them, since
 * the tables of names come with the archive. By path key; a member that takes the place of an earlier one takes its
 * record away.
 */
export class PostponedAttributes {
  readonly #directories = new Map<string, DirectoryAttributes>();
  readonly #acls = new Map<string, readonly AclEntry[]>();
  #bytes = 0;

  addDirectory(key: string, attributes: DirectoryAttributes): void {
    this.#forgetDirectory(key);
    this.#reserve(directoryBytes(key, attributes));
    this.#directories.set(key, {
      ...attributes,
      accessAcl: ownCopy(attributes.accessAcl),
      defaultAcl: ownCopy(attributes.defaultAcl),
    });
  }

  /** @param entries the access ACL of something that is not a directory */
  addAcl(key: string, entries: readonly AclEntry[]): void {
    this.#forgetAcl(key);
    this.#reserve(aclRecordBytes(key, entries));
    this.#acls.set(key, entries);
  }

  /** The member with this key was removed. */
  forget(key: string): void {
    this.#forgetDirectory(key);
    this.#forgetAcl(key);
  }

  acls(): Iterable<[key: string, entries: readonly AclEntry[]]> {
    return this.#acls;
  }

  /** The latest first: what lies deeper comes before what it lies in. */
  directories(): Iterable<[key: string, attributes: DirectoryAttributes]> {
    return [...this.#directories].reverse();
  }

  #forgetDirectory(key: string): void {
    const attributes = this.#directories.get(key);
    if (attributes === undefined) return;
    this.#directories.delete(key);
    this.#bytes -= directoryBytes(key, attributes);
  }

  #forgetAcl(key: string): void {
    const entries = this.#acls.get(key);
    if (entries === undefined) return;
    this.#acls.delete(key);
    this.#bytes -= aclRecordBytes(key, entries);
  }

  #reserve(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= MAX_BYTES) return;
    throw beyondBounds(
      `the tar archive holds more directories than rdpull can keep in mind (${this.#directories.size})`,
      'pack the tree as a disk image and pull it with --type=raw',
    );
  }
}

function directoryBytes(key: string, { accessAcl, defaultAcl }: DirectoryAttributes): number {
  return RECORD_BYTES + key.length + aclBytes(accessAcl) + aclBytes(defaultAcl);
}

function aclRecordBytes(key: string, entries: readonly AclEntry[]): number {
  return RECORD_BYTES + key.length + aclBytes(entries);
}

function aclBytes(acl: Acl | undefined): number {
  if (acl === undefined) return 0;
  return acl instanceof Uint8Array ? acl.length : acl.length * ACL_ENTRY_BYTES;
}

/** The bytes of the reader are views of a whole PAX header, in a Buffer, whose slice() would be one more. */
function ownCopy(acl: Acl | undefined): Acl | undefined {
  return acl instanceof Uint8Array ? new Uint8Array(acl) : acl;
}
