import fs from 'node:fs';
import { type Emptied, emptyFileSystem } from '../kernel/empty-file-system.ts';
import { type Mount, mountDevice, parseMounts } from '../kernel/mount-points.ts';
import { openAt } from '../kernel/open-at.ts';
import { RootFollower } from '../kernel/root-directory.ts';
import { RAMFS_MAGIC, TMPFS_MAGIC } from '../kernel/tmpfs.ts';
import { lull } from './lull.ts';

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

  static open(): OldRoot {
    const root = fs.openSync('/', O_RDONLY | O_DIRECTORY);
    return new OldRoot(root, fs.openSync('/proc', O_RDONLY | O_DIRECTORY));
  }

  /** Whether it is a file system in RAM: what is on a disk takes no memory, and may be wanted again. To be asked before it is left. */
  get isInRam(): boolean {
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
      if (this.#isLeft()) return true;
      await Bun.sleep(INTERVAL);
    }
    return false;
  }

  /**
   * Waits until something is mounted on `directory`, as PID 1 sees it.
   *
   * @returns whether it was; false when PID 1 has left before, or `signal` came first
   */
  async mounted(directory: string, signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && !this.#isLeft()) {
      if (this.#mountsOfInit().some(({ mountPoint }) => mountPoint === directory)) return true;
      await Bun.sleep(INTERVAL);
    }
    return false;
  }

  #isLeft(): boolean {
    if (this.#isRootOfInit()) return false;
    this.#follow();
    return true;
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
    return this.#mountsOfInit()
      .filter((mount) => mount.device === device)
      .map(({ mountPoint }) => mountPoint);
  }

  /** {@link lull} of this machine. */
  async lull(signal: AbortSignal): Promise<void> {
    await lull(() => this.#readProc('stat'), signal);
  }

  #mountsOfInit(): Mount[] {
    return parseMounts(this.#readProc('1/mountinfo'));
  }

  #readProc(name: string): string {
    const fd = openAt(this.#proc, name, O_RDONLY);
    try {
      return fs.readFileSync(fd, 'utf8');
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
