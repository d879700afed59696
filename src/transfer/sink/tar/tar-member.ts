import type { AclEntry } from './posix-acl.ts';
import type { SparseMap } from './sparse-map.ts';
import type { Timestamp } from './tar-header.ts';

/** What every member has, whatever it is. */
export interface MemberAttributes {
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  /** By name (a character per byte), without the ACLs. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly accessAcl: Acl | undefined;
  /** Of directories alone. */
  readonly defaultAcl: Acl | undefined;
}

/** An ACL as the archive has it: the kernel's own bytes, or entries that may hold names. */
export type Acl = Uint8Array | readonly AclEntry[];

/**
 * One member of the archive. Its path and link target are bytes, as they stand in the archive, and views of memory
 * that is used again at once; its attributes stay until the next member.
 */
export type TarMember = { readonly path: Uint8Array; readonly attributes: MemberAttributes } & (
  | { readonly type: 'file'; readonly size: number; readonly map: SparseMap | undefined }
  | { readonly type: 'hard-link'; readonly target: Uint8Array }
  | { readonly type: 'symbolic-link'; readonly target: Uint8Array }
  | { readonly type: 'directory' }
  | {
      readonly type: 'device';
      readonly kind: 'character' | 'block';
      readonly major: number;
      readonly minor: number;
    }
  | { readonly type: 'fifo' }
);

/** Who takes what the reader finds. */
export interface TarMemberHandler {
  member(member: TarMember): void;
  /** The next data of the file that `member` announced. `data` is only valid during the call. */
  fileData(data: Uint8Array, position: number): void;
  /** The file that `member` announced is complete. */
  fileEnd(): void;
}
