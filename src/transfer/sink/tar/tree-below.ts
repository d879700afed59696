import type { MemberPath } from './member-path.ts';

/**
 * What an archive is unpacked over, as a layer of a container image is over the layers below it: told of what the
 * extractor is about to do, and asked what may go. Without one, the target is empty, and all that is in it comes from
 * the archive at hand.
 */
export interface TreeBelow {
  /** Whether anything is there at all; the target directory has attributes of its own then, too. */
  readonly isTree: boolean;
  /**
   * Does what a member says that is no file, but a word about what lies below.
   *
   * @returns whether it is one: nothing is made of it then
   */
  obeys(path: MemberPath): boolean;
  /** Something changes next in `directory`, which is what the first `depth` names of `path` lead to. */
  entering(directory: number, path: MemberPath, depth: number): void;
  /** The directory `depth` names down was made, because it is on the way to a member. */
  madeOnTheWay(path: MemberPath, depth: number): void;
  /** A member is at `path` now. */
  made(path: MemberPath): void;
  /** A directory comes in place of the directory `path` that is there. */
  overDirectory(directory: number, path: MemberPath): void;
  /**
   * Something comes in place of the directory `path`, which is not empty.
   *
   * @returns whether it was removed, as nothing in it is of this archive
   */
  removes(directory: number, path: MemberPath): boolean;
  /** All members are there, and have their attributes. */
  finish(): void;
}
