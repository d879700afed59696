import fs from 'node:fs';
import path from 'node:path';
import { isFromSystemCall, isSystemError, reasonWithoutPath } from '../kernel/system-error.ts';
import { type FileState, fileState } from './file-state.ts';
import { isPrivateKey, type WithheldFiles } from './withheld-files.ts';

/** An open file that may be served. Whoever has it closes it. */
export interface ServedFile extends Disposable {
  readonly kind: 'file';
  readonly fd: number;
  readonly state: FileState;
}

/**
 * What lies at a path. `refused` says, for a log, why what is there is not served, and `unreadable` why it cannot be: its disk fails, or
 * the server that it lies on.
 */
export type Found =
  | ServedFile
  | { readonly kind: 'directory'; readonly state: FileState }
  | { readonly kind: 'missing' }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'unreadable'; readonly why: string };

/** A file that is served, in a list. */
export interface Entry {
  readonly name: string;
  readonly kind: 'file' | 'directory';
  readonly state: FileState;
}

/**
 * A directory of which every file is served, but for hidden ones and those that are withheld. Nothing outside of it is,
 * whatever the path is made of and wherever symbolic links lead.
 */
export class ServedDirectory {
  readonly #root: string;
  readonly #withheld: WithheldFiles;

  /**
   * @param withheld files that are served under no name
   * @throws Error of the file system
   */
  constructor(
    readonly directory: string,
    withheld: WithheldFiles,
  ) {
    this.#root = fs.realpathSync(directory);
    this.#withheld = withheld;
  }

  /** Files with secrets that lie in here, by their paths from here: what a web server of another kind would give away. */
  secrets(): string[] {
    return this.#withheld.below(this.#root).map((file) => path.relative(this.#root, file));
  }

  /**
   * Opens what lies at `names`, one below the other, none of which holds a slash.
   *
   * @throws Error of the file system for what is no matter of the path, such as EMFILE
   */
  open(names: readonly string[]): Found {
    if (names.some((name) => name.startsWith('.'))) return { kind: 'missing' };
    let fd: number;
    try {
      const real = fs.realpathSync(path.join(this.#root, ...names));
      const why = this.#refusal(real);
      if (why !== undefined) return { kind: 'refused', why };
      // Not to wait for the other end of a fifo.
      fd = fs.openSync(real, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY);
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return { kind: 'missing' };
      if (isSystemError(error, 'EACCES', 'EPERM')) return { kind: 'refused', why: 'it may not be read' };
      if (isSystemError(error, 'ENXIO')) return { kind: 'refused', why: 'it is no regular file' };
      return unreadable(error);
    }
    let found: Found | undefined;
    try {
      found = this.#judge(fd);
      return found;
    } finally {
      if (found?.kind !== 'file') fs.closeSync(fd);
    }
  }

  /**
   * What is served in the directory `names`, sorted by name, without what cannot be read; undefined when there is no such
   * directory.
   */
  list(names: readonly string[]): Entry[] | undefined {
    if (this.open(names).kind !== 'directory') return undefined;
    return fs
      .readdirSync(path.join(this.#root, ...names))
      .sort()
      .flatMap((name): Entry[] => {
        using found = disposable(this.open([...names, name]));
        if (found.kind !== 'file' && found.kind !== 'directory') return [];
        return [{ name, kind: found.kind, state: found.state }];
      });
  }

  /** What is open now may be another file than the one whose path was judged. */
  #judge(fd: number): Found {
    const real = fs.readlinkSync(`/proc/self/fd/${fd}`);
    const why = this.#refusal(real);
    if (why !== undefined) return { kind: 'refused', why };
    let state: FileState;
    let isKey: boolean;
    try {
      const stats = fs.fstatSync(fd, { bigint: true });
      state = fileState(stats);
      if (stats.isDirectory()) return { kind: 'directory', state };
      if (!stats.isFile()) return { kind: 'refused', why: 'it is no regular file' };
      isKey = isPrivateKey(fd);
    } catch (error) {
      return unreadable(error);
    }
    if (isKey || this.#withheld.has(real, state.identity)) return { kind: 'refused', why: 'it is a secret' };
    return { kind: 'file', fd, state, [Symbol.dispose]: () => fs.closeSync(fd) };
  }

  #refusal(real: string): string | undefined {
    const relative = path.relative(this.#root, real);
    if (relative === '..' || relative.startsWith('..')) return 'a symbolic link leads out of the directory';
    return relative.split('/').some((name) => name.startsWith('.')) ? 'it is hidden' : undefined;
  }
}

/** What a file is that a system call has failed for. Throws what is the matter with this process, or with this machine. */
function unreadable(error: unknown): Found {
  if (!isFromSystemCall(error) || isSystemError(error, 'EMFILE', 'ENFILE', 'ENOMEM')) throw error;
  return { kind: 'unreadable', why: `it cannot be read: ${reasonWithoutPath(error)}` };
}

/** A found thing that ends with its block, also where it holds nothing. */
export function disposable(found: Found): Found & Disposable {
  return found.kind === 'file' ? found : { ...found, [Symbol.dispose]: () => undefined };
}
