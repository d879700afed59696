import fs from 'node:fs';
import {
  changeModeAt,
  changeOwnerAt,
  changeTime,
  changeTimeAt,
  createFileAt,
  createFileBelow,
  fileTypeAt,
  makeDirectoryAt,
  makeHardLinkAt,
  makeNodeAt,
  makeSymbolicLinkAt,
  type Name,
  NameBuffer,
  openDirectoryAt,
  openDirectoryBelow,
  removeAttribute,
  removeDirectoryAt,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  setAttribute,
  setAttributeAt,
  syncFileSystem,
  unlinkAt,
} from '../../../kernel/directory-tree.ts';
import { retryInterrupted } from '../../../kernel/libc.ts';
import { PATH_MAX } from '../../../kernel/name-limits.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import { startWriteback } from '../../../kernel/writeback.ts';
import { AccountNames } from './account-names.ts';
import { ExtendedAttributes, type SetAttribute } from './extended-attributes.ts';
import type { KeptMemory } from './kept-memory.ts';
import { MemberPath } from './member-path.ts';
import { type NewFile, newFileBelow } from './new-file.ts';
import { OpenDirectories } from './open-directories.ts';
import { XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT } from './posix-acl.ts';
import { type DirectoryAttributes, PostponedAttributes } from './postponed-attributes.ts';
import { printableName } from './printable-name.ts';
import { escapes, malformed } from './tar-error.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';
import type { Acl, MemberAttributes, TarMember, TarMemberHandler } from './tar-member.ts';
import type { TreeBelow } from './tree-below.ts';
import type { TreeParts } from './tree-parts.ts';
import { unpackError } from './unpack-error.ts';

export interface TarExtractorOptions {
  /** Something was lost that the tree can do without. */
  readonly warn: (message: string) => void;
  readonly limits: TarLimits;
  readonly kept: KeptMemory;
  /** What lies in the target already. */
  readonly below?: (parts: TreeParts) => TreeBelow;
  /** Files and directories that archives before this one have made there: `limits.entries` holds for all of them. */
  readonly membersBelow?: number;
}

/** A regular file whose data arrive. */
interface OpenFile {
  readonly fd: number;
  readonly attributes: MemberAttributes;
  /** Bytes, without holes. */
  written: number;
}

/** Files with so many bytes are sent to the disk at once; of small ones the kernel makes larger pieces when it has many. */
const WRITEBACK_BYTES = 1024 * 1024;

const OWNER_ONLY = 0o600;

/** A member that is created under a name, whose attributes are set by that name: anything but a file or directory. */
type NamedMember = TarMember & { readonly type: 'symbolic-link' | 'device' | 'fifo' };

/**
 * Makes the members of a tar archive below a directory, with all their attributes, as GNU tar does for root with
 * `--numeric-owner --xattrs --xattrs-include='*' --acls --selinux`: a later member takes the place of an earlier one,
 * a directory keeps what is in it. Nothing is ever created, linked or changed outside.
 */
export class TarExtractor implements TarMemberHandler {
  readonly #target: string;
  readonly #root: number;
  readonly #limits: TarLimits;
  readonly #directories: OpenDirectories;
  readonly #postponed: PostponedAttributes;
  readonly #attributes: ExtendedAttributes;
  readonly #path: MemberPath;
  readonly #hardLinkTarget: MemberPath;
  readonly #symbolicLinkTarget = new NameBuffer(PATH_MAX);
  readonly #below: TreeBelow | undefined;
  readonly #membersBelow: number;
  readonly #newFile: NewFile | undefined;
  #file: OpenFile | undefined;
  /** The data of the member at hand are for nobody. */
  #passesOver = false;
  #members = 0;
  #written = 0;
  #closed = false;

  /** @param target an existing directory, empty unless `below` says what is in it */
  constructor(target: string, options: TarExtractorOptions) {
    const { limits, kept, membersBelow = 0 } = options;
    this.#target = target;
    this.#limits = limits;
    this.#membersBelow = membersBelow;
    this.#path = new MemberPath(limits);
    this.#hardLinkTarget = new MemberPath(limits);
    this.#root = openTarget(target);
    this.#directories = new OpenDirectories(this.#root, () => this.#below);
    const accounts = new AccountNames(this.#directories, kept);
    this.#postponed = new PostponedAttributes(accounts, kept);
    const parts = { root: this.#root, directories: this.#directories, postponed: this.#postponed };
    this.#below = options.below?.({ ...parts, limits, kept });
    const isFresh = this.#below?.isTree !== true;
    if (isFresh) withoutDefaultAcl(this.#root, target);
    this.#newFile = isFresh ? newFileBelow(this.#root) : undefined;
    this.#attributes = new ExtendedAttributes({ target, path: this.#path, accounts, warn: options.warn });
  }

  get members(): number {
    return this.#members;
  }

  /** Directories on the way to members that are none themselves. */
  get made(): number {
    return this.#directories.made;
  }

  /** What `error`, thrown by a method of this class, means for the user. */
  explain(error: unknown): unknown {
    return unpackError(error, this.#target, this.#path.printable(), this.#written);
  }

  member(member: TarMember): void {
    this.#members++;
    const { entries } = this.#limits;
    if (this.#membersBelow + this.#members + this.#directories.made > entries) {
      throw beyondLimit(
        'entries',
        entries,
        `the ${this.#membersBelow > 0 ? 'layers make' : 'tar archive makes'} more than ${entries} files and directories`,
      );
    }
    this.#path.assign(member.path, 'the member');
    if (this.#path.isAbsolute && this.#path.depth > 0) {
      throw escapes(`the member ${printableName(member.path)} has an absolute name`);
    }
    this.#directories.trim();
    this.#passesOver = this.#below?.obeys(this.#path) ?? false;
    if (this.#passesOver) return;
    if (member.type === 'directory') this.#makeDirectory(member.attributes);
    else if (this.#path.depth === 0) throw malformed(`the tar archive holds a ${member.type} without a name`);
    else if (member.type === 'file') this.#beginFile(member);
    else this.#makeOther(this.#parentOfMember(), member);
    this.#below?.made(this.#path);
  }

  fileData(data: Uint8Array, position: number): void {
    if (this.#passesOver) return;
    if (this.#file === undefined) throw new Error('data arrived before their file');
    const { fd } = this.#file;
    for (let done = 0; done < data.length; ) {
      const start = done;
      done += retryInterrupted(() => fs.writeSync(fd, data, start, data.length - start, position + start));
    }
    this.#file.written += data.length;
    this.#written += data.length;
  }

  fileEnd(): void {
    if (this.#passesOver) return;
    if (this.#file === undefined) throw new Error('a file ended that did not begin');
    const { fd, attributes, written } = this.#file;
    const { mode, uid, gid, mtime, accessAcl, xattrs } = attributes;
    if (!this.#isOwner(uid, gid)) fs.fchownSync(fd, uid, gid);
    // After the owner, whose change clears setuid and setgid.
    if (mode !== this.#firstMode(attributes)) fs.fchmodSync(fd, mode);
    const set: SetAttribute = (name, value) => setAttribute(fd, name, value);
    this.#setOrPostponeAcl(accessAcl, set);
    this.#attributes.set(xattrs, set);
    changeTime(fd, mtime.seconds, mtime.nanoseconds);
    this.#file = undefined;
    if (written >= WRITEBACK_BYTES) startWriteback(fd);
    fs.closeSync(fd);
  }

  /** All members are there: applies what had to wait. */
  finish(): void {
    for (const [key, acl] of this.#postponed.acls()) {
      this.#path.assignKey(key);
      this.#directories.trim();
      const directory = this.#directories.parentOf(this.#path, 'as-made');
      this.#attributes.setAcl(XATTR_NAME_POSIX_ACL_ACCESS, acl, this.#setterAt(directory));
    }
    for (const [key, attributes] of this.#postponed.directories()) {
      this.#path.assignKey(key);
      this.#directories.trim();
      this.#finishDirectory(attributes);
    }
    this.#below?.finish();
  }

  /** Writes the file system out. */
  sync(): void {
    syncFileSystem(this.#root);
  }

  /** Closes all descriptors; may be called twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#file !== undefined) fs.closeSync(this.#file.fd);
    this.#directories.close();
    fs.closeSync(this.#root);
  }

  // ---- One member of each kind

  /** The directory that the member at hand is made in. */
  #parentOfMember(): number {
    const directory = this.#directories.parentOf(this.#path, 'create');
    this.#below?.entering(directory, this.#path, this.#path.depth - 1);
    return directory;
  }

  #makeOther(directory: number, member: Exclude<TarMember, { type: 'directory' | 'file' }>): void {
    switch (member.type) {
      case 'hard-link':
        this.#makeHardLink(directory, member.target);
        break;
      case 'symbolic-link':
        this.#setSymbolicLinkTarget(member.target);
        this.#makeNamed(directory, member, (name) =>
          makeSymbolicLinkAt(this.#symbolicLinkTarget.name(0), directory, name),
        );
        break;
      case 'fifo':
        this.#makeNamed(directory, member, (name) => makeNodeAt(directory, name, S_IFIFO, 0, 0));
        break;
      case 'device': {
        const type = member.kind === 'character' ? S_IFCHR : S_IFBLK;
        this.#makeNamed(directory, member, (name) =>
          makeNodeAt(directory, name, type, member.major, member.minor),
        );
        break;
      }
    }
  }

  #beginFile({ size, map, attributes }: TarMember & { type: 'file' }): void {
    const mode = this.#firstMode(attributes) ?? OWNER_ONLY;
    const fd = this.#createAtOnce(mode) ?? this.#createByName(mode);
    this.#file = { fd, attributes, written: 0 };
    if (map !== undefined) fs.ftruncateSync(fd, size);
  }

  /**
   * Most files are new, below directories that are there: one call for them, however they jump about. undefined: it takes a walk. What
   * lies below wants to hear of the directory, and needs one in any case.
   */
  #createAtOnce(mode: number): number | undefined {
    return this.#below === undefined ? createFileBelow(this.#root, this.#path.whole, mode) : undefined;
  }

  #createByName(mode: number): number {
    const directory = this.#parentOfMember();
    return this.#inPlaceOfEarlier(directory, () => createFileAt(directory, this.#path.lastName, mode));
  }

  #makeDirectory(attributes: MemberAttributes): void {
    const { mode, uid, gid, mtime, accessAcl, defaultAcl, xattrs } = attributes;
    let directory = this.#root;
    if (this.#path.depth > 0) {
      directory = this.#parentOfMember();
      const name = this.#path.lastName;
      try {
        makeDirectoryAt(directory, name);
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
        if (fileTypeAt(directory, name) === S_IFDIR) {
          this.#below?.overDirectory(directory, this.#path);
        } else {
          this.#removeEarlier(directory);
          makeDirectoryAt(directory, name);
        }
      }
    } else {
      this.#below?.overDirectory(directory, this.#path);
    }
    this.#attributes.set(xattrs, this.#setterAt(directory));
    this.#postponed.addDirectory(this.#path.key(), { mode, uid, gid, mtime, accessAcl, defaultAcl });
  }

  #finishDirectory({ mode, uid, gid, mtime, accessAcl, defaultAcl }: DirectoryAttributes): void {
    const isRoot = this.#path.depth === 0;
    const fd = isRoot ? this.#root : this.#openMade();
    try {
      if (!this.#isOwner(uid, gid)) fs.fchownSync(fd, uid, gid);
      fs.fchmodSync(fd, mode);
      const set: SetAttribute = (name, value) => setAttribute(fd, name, value);
      if (accessAcl !== undefined) this.#attributes.setAcl(XATTR_NAME_POSIX_ACL_ACCESS, accessAcl, set);
      if (defaultAcl !== undefined) this.#attributes.setAcl(XATTR_NAME_POSIX_ACL_DEFAULT, defaultAcl, set);
      changeTime(fd, mtime.seconds, mtime.nanoseconds);
    } finally {
      if (!isRoot) fs.closeSync(fd);
    }
  }

  /** The directory at hand, which is there. */
  #openMade(): number {
    return (
      openDirectoryBelow(this.#root, this.#path.whole) ??
      openDirectoryAt(this.#directories.parentOf(this.#path, 'as-made'), this.#path.lastName)
    );
  }

  /** Whether what was just made belongs to these already. */
  #isOwner(uid: number, gid: number): boolean {
    return this.#newFile?.uid === uid && this.#newFile.gid === gid;
  }

  /**
   * What a file is made with, where nothing else decides who may do what: all of its mode that the umask leaves, so that it need not
   * be set again. setuid and setgid wait for the data in any case. undefined: that is not sure.
   */
  #firstMode({ mode, uid, gid, accessAcl }: MemberAttributes): number | undefined {
    if (this.#newFile === undefined || !this.#isOwner(uid, gid) || accessAcl !== undefined) return undefined;
    return mode & 0o777 & ~this.#newFile.umask;
  }

  /** A hard link has no attributes of its own: those are its target's. */
  #makeHardLink(directory: number, target: Uint8Array): void {
    const path = this.#hardLinkTarget;
    path.assign(target, `the hard link ${this.#path.printable()} points outside: its target`);
    if (path.depth === 0) throw malformed(`the hard link ${this.#path.printable()} has no target`);
    try {
      const targetDirectory = this.#directories.parentOf(path, 'existing');
      const type = fileTypeAt(targetDirectory, path.lastName);
      if (type === S_IFDIR) {
        throw malformed(`the hard link ${this.#path.printable()} points to a directory, ${path.printable()}`);
      }
      if (path.key() === this.#path.key()) return; // to itself
      this.#inPlaceOfEarlier(directory, () =>
        makeHardLinkAt(targetDirectory, path.lastName, directory, this.#path.lastName),
      );
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
      if (path.isAbsolute) {
        throw escapes(
          `the hard link ${this.#path.printable()} points outside: the archive holds no ${printableName(target)}`,
        );
      }
      const where =
        this.#below?.isTree === true ? 'layers below do not hold, nor this one' : 'archive does not hold';
      throw malformed(
        `the hard link ${this.#path.printable()} points to ${path.printable()}, which the ${where} before it`,
      );
    }
  }

  #setSymbolicLinkTarget(target: Uint8Array): void {
    if (target.length === 0 || target.length >= PATH_MAX || target.includes(0)) {
      throw malformed(
        `the symbolic link ${this.#path.printable()} has the impossible target ${printableName(target)}`,
      );
    }
    this.#symbolicLinkTarget.bytes.set(target);
    this.#symbolicLinkTarget.bytes[target.length] = 0;
  }

  #makeNamed(directory: number, { type, attributes }: NamedMember, make: (name: Name) => void): void {
    const { mode, uid, gid, mtime, accessAcl, xattrs } = attributes;
    const name = this.#path.lastName;
    this.#inPlaceOfEarlier(directory, () => make(name));
    if (!this.#isOwner(uid, gid)) changeOwnerAt(directory, name, uid, gid);
    const set = this.#setterAt(directory);
    if (type !== 'symbolic-link') {
      changeModeAt(directory, name, mode);
      this.#setOrPostponeAcl(accessAcl, set);
    }
    this.#attributes.set(xattrs, set);
    changeTimeAt(directory, name, mtime.seconds, mtime.nanoseconds);
  }

  #setOrPostponeAcl(acl: Acl | undefined, set: SetAttribute): void {
    if (acl === undefined) return;
    const waiting = this.#attributes.setAccessAcl(acl, set);
    if (waiting !== undefined) this.#postponed.addAcl(this.#path.key(), waiting);
  }

  #setterAt(directory: number): SetAttribute {
    return (name, value) => setAttributeAt(directory, this.#path.lastNameBytes, name, value);
  }

  // ---- A member in place of an earlier one

  #inPlaceOfEarlier<T>(directory: number, create: () => T): T {
    try {
      return create();
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error;
      this.#removeEarlier(directory);
      return create();
    }
  }

  #removeEarlier(directory: number): void {
    const name = this.#path.lastName;
    if (fileTypeAt(directory, name) === S_IFDIR) {
      try {
        removeDirectoryAt(directory, name);
      } catch (error) {
        if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST')) throw error;
        if (this.#below?.removes(directory, this.#path) === true) return;
        throw malformed(
          `the member ${this.#path.printable()} would take the place of the directory of this name, which is not empty`,
        );
      }
    } else {
      unlinkAt(directory, name);
    }
    const key = this.#path.key();
    this.#postponed.forget(key);
    this.#directories.forget(key);
  }
}

function openTarget(target: string): number {
  try {
    return fs.openSync(target, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch (error) {
    throw unpackError(error, target, 'the archive', 0);
  }
}

/** Takes the default ACL of the target directory away, which would add itself to everything unpacked. */
function withoutDefaultAcl(fd: number, target: string): void {
  try {
    removeAttribute(fd, XATTR_NAME_POSIX_ACL_DEFAULT);
  } catch (error) {
    if (isSystemError(error, 'ENODATA', 'ENOTSUP', 'EOPNOTSUPP')) return;
    fs.closeSync(fd);
    throw unpackError(error, target, 'the archive', 0);
  }
}
