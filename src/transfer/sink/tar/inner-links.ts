import fs from 'node:fs';
import { openPlaceAt, openPlaceBelow, readLinkAt } from '../../../kernel/directory-tree.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import type { MemberPath } from './member-path.ts';
import { printableName } from './printable-name.ts';
import { escapes, leadsNowhere } from './tar-error.ts';

/** Links that one path may go through, as for the kernel (MAXSYMLINKS, linux/namei.h). */
const MAX_LINKS = 40;

const SLASH = 0x2f;

/** What is known of the links that a path goes through, besides what it became. */
interface Followed {
  /** What was asked for, printable. */
  readonly asked: string;
  count: number;
  /** The last one, printable. */
  last: string;
  /** Whether any of them was absolute. */
  isAbsolute: boolean;
  /** So many names at the end of the path are the member's own; those before them come from links. */
  own: number;
}

/**
 * Replaces the symbolic links among the directories of `path` by what they lead to, as it will be when the tree is the
 * root: an absolute target begins at `root` (as by RESOLVE_IN_ROOT of openat2(2)); one that climbs out of it is refused,
 * though the kernel would stay at the root. What is left are plain names, to be walked as ever: no link is ever followed by
 * the kernel, and what is remembered of a member is remembered under one name.
 *
 * The last name is no directory on the way. Names of the member's own that do not exist stay: their directories may be made.
 *
 * @throws RdpullError `tar-escape` when it leads out of the tree, to a directory that is not there, or in a circle
 */
export function followInnerLinks(root: number, path: MemberPath): void {
  const followed: Followed = {
    asked: `the path ${path.printable()}`,
    count: 0,
    last: '',
    isAbsolute: false,
    own: path.depth,
  };
  for (let index = 0; index < path.depth - 1; ) {
    if (path.climbsAt(index)) {
      if (index === 0) throw escapes(`${followed.asked} goes through ${followed.last}, which leads outside`);
      path.climb(index);
      index--;
      continue;
    }
    const found = lookAt(root, path, index);
    if (found === 'directory') {
      index++;
    } else if (found === 'none') {
      if (index < path.depth - followed.own) throw deadEnd(followed);
      return;
    } else {
      followLink(followed, path, index, found);
      if (found[0] === SLASH) index = 0;
    }
  }
}

function followLink(followed: Followed, path: MemberPath, index: number, target: Uint8Array): void {
  followed.count++;
  followed.last = `the symbolic link ${path.printable(index + 1)} to ${printableName(target)}`;
  followed.isAbsolute ||= target[0] === SLASH;
  followed.own = Math.min(followed.own, path.depth - index - 1);
  if (followed.count > MAX_LINKS) {
    throw leadsNowhere(`${followed.asked} goes through more than ${MAX_LINKS} symbolic links`);
  }
  try {
    path.follow(index, target);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw leadsNowhere(`${followed.asked} goes through ${followed.last}, and is too long then`);
  }
}

/** A link leads to a name that is no directory. */
function deadEnd({ asked, last, isAbsolute }: Followed): Error {
  const through = `${asked} goes through ${last}`;
  if (isAbsolute) return escapes(`${through}, which leads outside: the archive has no such directory`);
  return leadsNowhere(`${through}, a directory that the archive does not hold before it`);
}

/** What the name number `index` is: a directory, nothing that leads on, or a link with this target. */
function lookAt(root: number, path: MemberPath, index: number): 'directory' | 'none' | Uint8Array {
  const parent = index === 0 ? root : openFirst(root, path, index);
  const name = path.name(index);
  try {
    fs.closeSync(openPlaceAt(parent, name));
    return 'directory';
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENAMETOOLONG')) return 'none';
    if (!isSystemError(error, 'ENOTDIR', 'ELOOP')) throw error;
    return linkTarget(parent, name);
  } finally {
    if (parent !== root) fs.closeSync(parent);
  }
}

function linkTarget(directory: number, name: Parameters<typeof readLinkAt>[1]): 'none' | Uint8Array {
  try {
    return new Uint8Array(readLinkAt(directory, name));
  } catch (error) {
    if (isSystemError(error, 'EINVAL')) return 'none';
    throw error;
  }
}

/** The directory that the first `count` names lead to, which are no links. */
function openFirst(root: number, path: MemberPath, count: number): number {
  const place = openPlaceBelow(root, path.joined(0, count));
  if (place !== undefined) return place;
  let directory = root;
  for (let index = 0; index < count; index++) {
    const above = directory;
    try {
      directory = openPlaceAt(above, path.name(index));
    } finally {
      if (above !== root) fs.closeSync(above);
    }
  }
  return directory;
}
