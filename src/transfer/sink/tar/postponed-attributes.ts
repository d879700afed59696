import type { AccountNames } from './account-names.ts';
import { COST, type KeptMemory } from './kept-memory.ts';
import { packAcl, unpackAcl } from './postponed-acl.ts';
import type { Timestamp } from './tar-header.ts';
import type { Acl } from './tar-member.ts';

/** The attributes of a directory that unpacking into it would change, or that would change what is unpacked. */
export interface DirectoryAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly accessAcl: Acl | undefined;
  readonly defaultAcl: Acl | undefined;
}

interface KeptDirectory {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly accessAcl: Uint8Array | undefined;
  readonly defaultAcl: Uint8Array | undefined;
}

/**
 * What can only be applied when everything is unpacked: directories' attributes, and ACLs with names in them, since
 * the tables of names come with the archive. By path key; a member that takes the place of an earlier one takes its
 * record away.
 */
export class PostponedAttributes {
  readonly #names: AccountNames;
  readonly #kept: KeptMemory;
  readonly #directories = new Map<string, KeptDirectory>();
  readonly #acls = new Map<string, Uint8Array>();

  constructor(names: AccountNames, kept: KeptMemory) {
    this.#names = names;
    this.#kept = kept;
  }

  /** @throws RdpullError `limit-exceeded` */
  addDirectory(key: string, { accessAcl, defaultAcl, ...attributes }: DirectoryAttributes): void {
    this.#forgetDirectory(key);
    const directory = { ...attributes, accessAcl: this.#pack(accessAcl), defaultAcl: this.#pack(defaultAcl) };
    this.#kept.take(directoryBytes(key, directory), 'directories');
    this.#directories.set(key, directory);
  }

  /** Whether the archive has a member for the directory with this key. */
  hasDirectory(key: string): boolean {
    return this.#directories.has(key);
  }

  /**
   * @param acl the access ACL of something that is not a directory
   * @throws RdpullError `limit-exceeded`
   */
  addAcl(key: string, acl: Acl): void {
    this.#forgetAcl(key);
    const packed = packAcl(acl, this.#names);
    this.#kept.take(aclBytes(key, packed), 'ACLs with names in them');
    this.#acls.set(key, packed);
  }

  /** The member with this key was removed. */
  forget(key: string): void {
    this.#forgetDirectory(key);
    this.#forgetAcl(key);
  }

  *acls(): Generator<[key: string, acl: Acl]> {
    for (const [key, packed] of this.#acls) yield [key, unpackAcl(packed, this.#names)];
  }

  /** The latest first: what lies deeper comes before what it lies in. */
  *directories(): Generator<[key: string, attributes: DirectoryAttributes]> {
    for (const [key, { accessAcl, defaultAcl, ...attributes }] of [...this.#directories].reverse()) {
      yield [
        key,
        { ...attributes, accessAcl: this.#unpack(accessAcl), defaultAcl: this.#unpack(defaultAcl) },
      ];
    }
  }

  #pack(acl: Acl | undefined): Uint8Array | undefined {
    return acl === undefined ? undefined : packAcl(acl, this.#names);
  }

  #unpack(packed: Uint8Array | undefined): Acl | undefined {
    return packed === undefined ? undefined : unpackAcl(packed, this.#names);
  }

  #forgetDirectory(key: string): void {
    const directory = this.#directories.get(key);
    if (directory === undefined) return;
    this.#directories.delete(key);
    this.#kept.release(directoryBytes(key, directory));
  }

  #forgetAcl(key: string): void {
    const packed = this.#acls.get(key);
    if (packed === undefined) return;
    this.#acls.delete(key);
    this.#kept.release(aclBytes(key, packed));
  }
}

function directoryBytes(key: string, { accessAcl, defaultAcl }: KeptDirectory): number {
  return COST.record + key.length + packedBytes(accessAcl) + packedBytes(defaultAcl);
}

function aclBytes(key: string, packed: Uint8Array): number {
  return COST.record + key.length + packedBytes(packed);
}

function packedBytes(packed: Uint8Array | undefined): number {
  return packed === undefined ? 0 : COST.bytes + packed.length;
}
