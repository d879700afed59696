import fs from 'node:fs';
import { checked, cString, libc } from './libc.ts';
import { openAt } from './open-at.ts';
import { isSystemError } from './system-error.ts';

const c = libc({
  fchdir: { args: ['i32'], returns: 'i32' },
  chroot: { args: ['ptr'], returns: 'i32' },
});

/** include/uapi/asm-generic/fcntl.h */
const O_PATH = 0o10000000;

/**
 * Keeps paths meaning what they mean to everybody else, in a process that lives on when PID 1 leaves the initrd: where
 * systemd moves the new root over the old one (before Linux 7), it changes its own root directory alone, and to all others
 * `/run`, `/proc` and `/dev` are empty directories of the initramfs from then on. Descriptors stay what they are.
 */
export class RootFollower implements Disposable {
  /** /proc, which is moved along. */
  readonly #proc: number;

  private constructor(proc: number) {
    this.#proc = proc;
  }

  /** undefined where PID 1 has another root directory than this process already, or may not be looked at. */
  static open(): RootFollower | undefined {
    const proc = fs.openSync('/proc', fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    const follower = new RootFollower(proc);
    try {
      const root = follower.#openRoot();
      const isOurs = isRoot(root);
      fs.closeSync(root);
      if (isOurs) return follower;
    } catch (error) {
      if (!isSystemError(error, 'EPERM', 'EACCES')) throw error;
    }
    follower[Symbol.dispose]();
    return undefined;
  }

  /**
   * Takes the root directory of PID 1, where this process has another one.
   *
   * @returns whether it did
   * @throws SystemCallError
   */
  follow(): boolean {
    const root = this.#openRoot();
    try {
      if (isRoot(root)) return false;
      checked('fchdir', c.fchdir(root));
      checked('chroot', c.chroot(cString('.')));
      return true;
    } finally {
      fs.closeSync(root);
    }
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#proc);
  }

  /** proc_pid_root(5). */
  #openRoot(): number {
    return openAt(this.#proc, '1/root', O_PATH);
  }
}

function isRoot(directory: number): boolean {
  const theirs = fs.fstatSync(directory);
  const ours = fs.statSync('/');
  return theirs.dev === ours.dev && theirs.ino === ours.ino;
}
