import fs from 'node:fs';

/** What a file has that was just made, without being told: what need not be set again. */
export interface NewFile {
  readonly uid: number;
  readonly gid: number;
  /** Bits of a mode that it does not get when it is made (umask(2)). */
  readonly umask: number;
}

const S_ISGID = 0o2000;

/**
 * What the files of a fresh tree have: its directories hand nothing on before all members are there, for their own owners,
 * modes and ACLs wait until then.
 *
 * @param root the directory of the tree, without a default ACL
 * @returns undefined when that is not sure, and everything has to be set
 */
export function newFileBelow(root: number): NewFile | undefined {
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  const directory = fs.fstatSync(root);
  if (uid === undefined || gid === undefined || directory.uid !== uid) return undefined;
  // A directory with setgid hands its group on, and with the mount option `grpid` every one does.
  if (directory.gid !== gid || (directory.mode & S_ISGID) !== 0) return undefined;
  const umask = /^Umask:\t([0-7]+)$/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1];
  return umask === undefined ? undefined : { uid, gid, umask: Number.parseInt(umask, 8) };
}
