import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import { lockHolder, tryLockFile } from '../kernel/file-lock.ts';
import { NAME_MAX } from '../kernel/name-limits.ts';
import { removeTree } from '../kernel/remove-tree.ts';
import { isSystemError } from '../kernel/system-error.ts';

/**
 * Where objects are made before anybody can see them: a directory for each target, beside it, that only its maker may
 * enter. Whoever makes something in it holds its lock (flock(2)), which the kernel takes back when that process ends,
 * however it ends. So what is locked is at work, in whichever PID namespace and under whichever PID, and what is not
 * locked was left behind.
 */

/** Names that start like this are no image names, so that nothing looks at what is still being made. */
const PREFIX = '.#rdpull-';

/** Others hold the lock for a moment while they find out that nobody is at work here. In ms. */
const PATIENCE = 1000;

export interface StagingDirectory {
  readonly path: string;
  /** Open as long as it is used: it carries the lock. */
  readonly fd: number;
}

/** The directory of an object, also while that is still being made: the one that a person has named. */
export function namedDirectory(object: string): string {
  const staging = object.indexOf(`/${PREFIX}`);
  return staging < 0 ? path.dirname(object) : object.slice(0, staging) || '/';
}

/**
 * Makes the staging directory of `target`, whose own directory exists. One that was left behind is removed first.
 *
 * @param tell takes a line when something was removed
 * @throws RdpullError target-busy when another process is making the same target; errors of Node's fs
 */
export async function claimStagingDirectory(
  target: string,
  tell: (text: string) => void,
): Promise<StagingDirectory> {
  const directory = stagingPath(target);
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    const made = makeDirectory(directory);
    const fd = openDirectory(directory);
    if (fd === undefined) {
      if (fs.lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === false)
        throw inTheWay(directory);
      continue;
    }
    const lock = tryLock(fd);
    if (lock !== 'taken' && isStillAt(fd, directory)) {
      // Empty: of somebody who made it this moment, and who will see that it is taken.
      if (made || (lock === 'ours' && isEmpty(directory))) return { path: directory, fd };
      if (lock === 'unknown' || !isOwn(fd)) {
        fs.closeSync(fd);
        throw inTheWay(directory);
      }
      discard(directory, fd);
      tell(removed(directory));
      continue;
    }
    const holder = lock === 'taken' ? lockHolder(fd) : undefined;
    fs.closeSync(fd);
    if (performance.now() >= deadline) throw busy(target, holder);
    await Bun.sleep(5 + Math.random() * 20);
  }
}

/**
 * Removes the staging directories in `directory` that nobody works in any more. What cannot be removed stays, and is
 * told.
 */
export function removeStaleStaging(directory: string, tell: (text: string) => void): void {
  for (const name of fs.readdirSync(directory)) {
    if (!name.startsWith(PREFIX)) continue;
    const stale = path.join(directory, name);
    try {
      const fd = openDirectory(stale);
      if (fd === undefined) continue;
      if (!isOwn(fd) || tryLock(fd) !== 'ours' || !isStillAt(fd, stale)) {
        fs.closeSync(fd);
        continue;
      }
      const wasEmpty = isEmpty(stale);
      discard(stale, fd);
      if (!wasEmpty) tell(removed(stale));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      tell(`what an interrupted rdpull left behind cannot be removed: ${printable(stale)}: ${error.message}`);
    }
  }
}

/** The name of the target tells what is being made, unless it is too long for that. */
function stagingPath(target: string): string {
  const name = path.basename(target);
  const fits = Buffer.byteLength(PREFIX + name) <= NAME_MAX;
  return path.join(
    path.dirname(target),
    PREFIX + (fits ? name : new Bun.CryptoHasher('sha256').update(name).digest('hex')),
  );
}

/**
 * Removes a directory whose lock `fd` carries, and closes `fd`. It gets a name first that nobody wants, so that the
 * next pull need not wait.
 */
function discard(directory: string, fd: number): void {
  try {
    const aside = path.join(
      path.dirname(directory),
      PREFIX + crypto.getRandomValues(new Uint8Array(16)).toHex(),
    );
    fs.renameSync(directory, aside);
    removeTree(aside);
  } finally {
    fs.closeSync(fd);
  }
}

/** false when there is something by that name */
function makeDirectory(directory: string): boolean {
  try {
    fs.mkdirSync(directory, { mode: 0o700 });
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  }
}

/** undefined when it is gone, or no directory */
function openDirectory(directory: string): number | undefined {
  try {
    return fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}

/** Some network file systems lock no directories: there nobody knows who is at work, and nothing is removed. */
function tryLock(fd: number): 'ours' | 'taken' | 'unknown' {
  try {
    return tryLockFile(fd) ? 'ours' : 'taken';
  } catch (error) {
    if (isSystemError(error, 'EBADF', 'EINVAL', 'ENOLCK', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'))
      return 'unknown';
    throw error;
  }
}

/** Whoever had the lock before may have moved the directory away. */
function isStillAt(fd: number, directory: string): boolean {
  const { dev, ino } = fs.fstatSync(fd);
  const found = fs.lstatSync(directory, { throwIfNoEntry: false });
  return found?.dev === dev && found.ino === ino;
}

/** In a directory for everybody, others could have made it, and change it while it is removed. */
function isOwn(fd: number): boolean {
  return fs.fstatSync(fd).uid === process.geteuid?.();
}

function isEmpty(directory: string): boolean {
  return fs.readdirSync(directory).length === 0;
}

function removed(directory: string): string {
  return `removed what an interrupted rdpull left behind: ${printable(directory)}`;
}

function busy(target: string, holder: number | undefined): RdpullError {
  const who = holder === undefined ? 'another rdpull' : `another rdpull (process ${holder})`;
  return new RdpullError(
    'target-busy',
    `${who} is pulling ${printable(target)} at this moment`,
    'wait for it, stop it, or choose another name with --local=NAME',
  );
}

function inTheWay(directory: string): RdpullError {
  return new RdpullError(
    'target-busy',
    `${printable(directory)} is in the way, and it cannot be told whether an rdpull is at work there`,
    `remove it when none is: rm -r ${shellWord(directory)}`,
  );
}
