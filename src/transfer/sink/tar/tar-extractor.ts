import fs from 'node:fs';
import {
  changeModeAt,
  changeOwnerAt,
  changeTime,
  changeTimeAt,
  createFileAt,
  fileTypeAt,
  makeDirectoryAt,
  makeHardLinkAt,
  makeNodeAt,
  makeSymbolicLinkAt,
  type Name,
  NameBuffer,
  openDirectoryAt,
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
import { OpenDirectories } from './open-directories.ts';
import { XATTR_NAME_POSIX_ACL_ACCESS, XATTR_NAME_POSIX_ACL_DEFAULT } from './posix-acl.ts';
import { type DirectoryAttributes, PostponedAttributes } from './postponed-attributes.ts';
import { printableName } from './printable-name.ts';
import { escapes, malformed } from './tar-error.ts';
import { beyondLimit, type TarLimits } from './tar-limits.ts';
import type { Acl, MemberAttributes, TarMember, TarMemberHandler } from './tar-member.ts';
import { unpackError } from './unpack-error.ts';

export interface TarExtractorOptions {
  /** Something was lost that the tree can do without. */
  readonly warn: (message: string) => void;
  readonly limits: TarLimits;
  readonly kept: KeptMemory;
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
  #file: OpenFile | undefined;
  #members = 0;
  #written = 0;
  #closed = false;

  /** @param target an existing, empty directory */
  constructor(target: string, options: TarExtractorOptions) {
    this.#target = target;
    this.#limits = options.limits;
    this.#path = new MemberPath(options.limits);
    this.#hardLinkTarget = new MemberPath(options.limits);
    this.#root = openTarget(target);
    this.#directories = new OpenDirectories(this.#root);
    const accounts = new AccountNames(this.#directories, options.kept);
    this.#postponed = new PostponedAttributes(accounts, options.kept);
    this.#attributes = new ExtendedAttributes({ target, path: this.#path, accounts, warn: options.warn });
  }

  get members(): number {
    return this.#members;
  }

  /** What `error`, thrown by a method of this class, means for the user. */
  explain(error: unknown): unknown {
    return unpackError(error, this.#target, this.#path.printable(), this.#written);
  }

  member(member: TarMember): void {
    this.#members++;
    const { entries } = this.#limits;
    if (this.#members + this.#directories.made > entries) {
      throw beyondLimit(
        'entries',
        entries,
        `the tar archive makes more than ${entries} files and directories`,
      );
    }
    this.#path.assign(member.path, 'the member');
    if (this.#path.isAbsolute && this.#path.depth > 0) {
      throw escapes(`the member ${printableName(member.path)} has an absolute name`);
    }
    this.#directories.trim();
    if (member.type === 'directory') this.#makeDirectory(member.attributes);
    else if (this.#path.depth > 0) this.#makeOther(this.#directories.parentOf(this.#path, 'create'), member);
    else throw malformed(`the tar archive holds a ${member.type} without a name`);
  }

  fileData(data: Uint8Array, position: number): void {
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
    if (this.#file === undefined) throw new Error('a file ended that did not begin');
    const { fd, attributes, written } = this.#file;
    const { mode, uid, gid, mtime, accessAcl, xattrs } = attributes;
    fs.fchownSync(fd, uid, gid);
    fs.fchmodSync(fd, mode); // after the owner, whose change clears setuid and setgid
    const set: SetAttribute = (name, value) => setAttribute(fd, name, value);
    this.#setOrPostponeAcl(accessAcl, set);
    this.#attributes.set(xattrs, set);
    changeTime(fd, mtime.seconds, mtime.nanoseconds);
    this.#file = undefined;
    if (written >= WRITEBACK_BYTES) startWriteback(fd);
    fs.closeSync(fd);
  }

  /** All members are there: applies what had to wait, and writes the file system out. */
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

  #makeOther(directory: number, member: Exclude<TarMember, { type: 'directory' }>): void {
    switch (member.type) {
      case 'file':
        this.#beginFile(directory, member);
        break;
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

  #beginFile(directory: number, { size, map, attributes }: TarMember & { type: 'file' }): void {
    const fd = this.#inPlaceOfEarlier(directory, () => createFileAt(directory, this.#path.lastName));
    this.#file = { fd, attributes, written: 0 };
    if (map !== undefined) fs.ftruncateSync(fd, size);
  }

  #makeDirectory(attributes: MemberAttributes): void {
    const { mode, uid, gid, mtime, accessAcl, defaultAcl, xattrs } = attributes;
    let directory = this.#root;
    if (this.#path.depth > 0) {
      directory = this.#directories.parentOf(this.#path, 'create');
      const name = this.#path.lastName;
      try {
        makeDirectoryAt(directory, name);
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error;
        if (fileTypeAt(directory, name) !== S_IFDIR) {
          this.#removeEarlier(directory);
          makeDirectoryAt(directory, name);
        }
      }
    }
    this.#attributes.set(xattrs, this.#setterAt(directory));
    this.#postponed.addDirectory(this.#path.key(), { mode, uid, gid, mtime, accessAcl, defaultAcl });
  }

  #finishDirectory({ mode, uid, gid, mtime, accessAcl, defaultAcl }: DirectoryAttributes): void {
    const isRoot = this.#path.depth === 0;
    const fd = isRoot
      ? this.#root
      : openDirectoryAt(this.#directories.parentOf(this.#path, 'as-made'), this.#path.lastName);
    try {
      fs.fchownSync(fd, uid, gid);
      fs.fchmodSync(fd, mode);
      const set: SetAttribute = (name, value) => setAttribute(fd, name, value);
      if (accessAcl !== undefined) this.#attributes.setAcl(XATTR_NAME_POSIX_ACL_ACCESS, accessAcl, set);
      if (defaultAcl !== undefined) this.#attributes.setAcl(XATTR_NAME_POSIX_ACL_DEFAULT, defaultAcl, set);
      changeTime(fd, mtime.seconds, mtime.nanoseconds);
    } finally {
      if (!isRoot) fs.closeSync(fd);
    }
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
      throw malformed(
        `the hard link ${this.#path.printable()} points to ${path.printable()}, which the archive does not hold before it`,
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
    changeOwnerAt(directory, name, uid, gid);
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

/** Opens the target directory, and takes its default ACL away, which would add itself to everything unpacked. */
function openTarget(target: string): number {
  let fd: number | undefined;
  try {
    fd = fs.openSync(target, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    removeAttribute(fd, XATTR_NAME_POSIX_ACL_DEFAULT);
    return fd;
  } catch (error) {
    if (fd !== undefined && isSystemError(error, 'ENODATA', 'ENOTSUP', 'EOPNOTSUPP')) return fd;
    if (fd !== undefined) fs.closeSync(fd);
    throw unpackError(error, target, 'the archive', 0);
  }
}
