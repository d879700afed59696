import fs from 'node:fs';
import { type Emptied, emptyFileSystem } from '../kernel/empty-file-system.ts';
import { mountDevice, parseMounts } from '../kernel/mount-points.ts';
import { openAt } from '../kernel/open-at.ts';
import { RootFollower } from '../kernel/root-directory.ts';
import { RAMFS_MAGIC, TMPFS_MAGIC } from '../kernel/tmpfs.ts';

/** How often it is looked whether PID 1 has gone, in ms: a few seconds of a boot, during which this costs next to nothing. */
const INTERVAL = 100;

const { O_DIRECTORY, O_RDONLY } = fs.constants;
const O_PATH = 0o10000000; // asm-generic/fcntl.h

/**
 * The root directory of an initrd, held by a descriptor: PID 1 will leave it for the real root, and take this process along or
 * not, as the kernel allows. What is read of PID 1 is read by a descriptor as well, since `/proc` moves meanwhile.
 */
export class OldRoot implements Disposable {
  readonly #root: number;
  readonly #proc: number;
  readonly #follower = RootFollower.open();

  private constructor(root: number, proc: number) {
    this.#root = root;
    this.#proc = proc;
  }

  /** @returns undefined when the root is no file system in RAM: what is on a disk takes no memory, and may be wanted again */
  static open(): OldRoot | undefined {
    const root = fs.openSync('/', O_RDONLY | O_DIRECTORY);
    const old = new OldRoot(root, fs.openSync('/proc', O_RDONLY | O_DIRECTORY));
    if (old.#isInRam()) return old;
    old[Symbol.dispose]();
    return undefined;
  }

  #isInRam(): boolean {
    const { type } = fs.statfsSync('/');
    return type === RAMFS_MAGIC || type === TMPFS_MAGIC;
  }

  /**
   * Waits until PID 1 has another root directory, and takes that too, where it can: there the journal is.
   *
   * @returns whether it has; false when `signal` came first
   */
  async left(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (!this.#isRootOfInit()) {
        this.#follow();
        return true;
      }
      await Bun.sleep(INTERVAL);
    }
    return false;
  }

  #follow(): void {
    try {
      this.#follower?.follow();
    } catch {
      // What is done here is done by descriptors; only what is said of it may be lost.
    }
  }

  #isRootOfInit(): boolean {
    // Not the link itself, but what it leads to.
    const fd = openAt(this.#proc, '1/root/.', O_PATH | O_DIRECTORY);
    try {
      const [root, old] = [fd, this.#root].map((each) => fs.fstatSync(each));
      return root?.dev === old?.dev && root?.ino === old?.ino;
    } finally {
      fs.closeSync(fd);
    }
  }

  /**
   * Where PID 1 has something of this file system mounted: it was kept on purpose, as a way back at shutdown, or as the real
   * root itself. Paths as PID 1 has them.
   */
  keptAt(): string[] {
    const device = mountDevice(fs.fstatSync(this.#root, { bigint: true }).dev);
    const fd = openAt(this.#proc, '1/mountinfo', O_RDONLY);
    try {
      return parseMounts(fs.readFileSync(fd, 'utf8'))
        .filter((mount) => mount.device === device)
        .map(({ mountPoint }) => mountPoint);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Gives back its memory: {@link emptyFileSystem}. */
  empty(): Emptied {
    return emptyFileSystem(this.#root);
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#root);
    fs.closeSync(this.#proc);
    this.#follower?.[Symbol.dispose]();
  }
}
