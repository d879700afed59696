import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import type { TargetUse } from '../expose/target-in-use.ts';
import { removeTree } from '../kernel/remove-tree.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, renameWithFlags } from '../kernel/rename.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { type MadeDirectories, makeDirectories } from './made-directories.ts';
import { storageError } from './sink/storage-error.ts';
import { claimStagingDirectory, removeStaleStaging, type StagingDirectory } from './staging-directory.ts';

export interface StagingOptions {
  /** Whether an existing target may be replaced. */
  readonly replace: boolean;
  /** Takes a line about what was left behind: that it was removed, or cannot be. */
  readonly tell: (text: string) => void;
}

/**
 * A place beside the target where an object is made before anybody can see it, and which no other rdpull has at the
 * same time. Disposing of it removes all that was made and not published.
 */
export class Staging implements Disposable {
  /**
   * Where to make the object: on the file system of the target, in a directory that only this user may enter, for the
   * setuid programs of a tarball that is not verified yet are for nobody.
   */
  readonly path: string;
  /** For what is needed only until the object is made; it goes with the rest. */
  readonly directory: string;
  readonly #directory: StagingDirectory;
  readonly #made: MadeDirectories;
  readonly #target: string;
  readonly #replace: boolean;
  readonly #tell: (text: string) => void;
  readonly #requireUnused: (target: string) => void;

  private constructor(
    directory: StagingDirectory,
    made: MadeDirectories,
    target: string,
    { replace, tell }: StagingOptions,
    requireUnused: (target: string) => void,
  ) {
    this.path = path.join(directory.path, 'object');
    this.directory = directory.path;
    this.#directory = directory;
    this.#made = made;
    this.#target = target;
    this.#replace = replace;
    this.#tell = tell;
    this.#requireUnused = requireUnused;
  }

  /**
   * Also removes what interrupted transfers have left in the directory of the target.
   *
   * @throws RdpullError target-exists, target-busy (it is in use, or another process is making the same), or of the storage
   *   family
   */
  static async open(target: string, options: StagingOptions): Promise<Staging> {
    const { replace, tell } = options;
    try {
      const { claimed, made } = await claim(target, options);
      const staging = new Staging(claimed, made, target, options, await useCheck(replace));
      try {
        removeStaleStaging(path.dirname(target), tell);
        // Whoever had the place before may just have published the same. What is replaced is looked at once more at the end.
        if (!replace) await requireFree(target, replace);
      } catch (error) {
        staging[Symbol.dispose]();
        throw error;
      }
      return staging;
    } catch (error) {
      throw storageError(target, 0, error);
    }
  }

  /**
   * Gives the complete and verified object at `made` (the staging path, or something below it) its final name, in
   * one step.
   *
   * @throws RdpullError target-exists, target-busy, or of the storage family
   */
  publish(made = this.path): void {
    try {
      syncPath(made);
      this.#requireUnused(this.#target);
      if (this.#replace) replaceTarget(made, this.#target);
      else renameWithFlags(made, this.#target, RENAME_NOREPLACE);
      syncPath(path.dirname(this.#target));
    } catch (error) {
      throw isSystemError(error, 'EEXIST')
        ? targetExists(this.#target)
        : storageError(this.#target, 0, error);
    }
  }

  [Symbol.dispose](): void {
    try {
      removeTree(this.#directory.path);
    } catch (error) {
      // What came of the transfer is the news.
      this.#tell(`${printable(this.#directory.path)} cannot be removed: ${reasonOf(error)}`);
    } finally {
      fs.closeSync(this.#directory.fd);
      this.#made.removeEmpty();
    }
  }
}

/** How often others may remove the directory again while it is made. */
const ATTEMPTS = 16;

/** Makes the directory of the target, and a place in it. */
async function claim(
  target: string,
  { replace, tell }: StagingOptions,
): Promise<{ readonly claimed: StagingDirectory; readonly made: MadeDirectories }> {
  for (let attempt = 1; ; attempt++) {
    const made = makeDirectories(path.dirname(target));
    try {
      await requireFree(target, replace);
      return { claimed: await claimStagingDirectory(target, tell), made };
    } catch (error) {
      made.removeEmpty();
      // Whoever had made the directory has failed, and removed it again.
      if (!isSystemError(error, 'ENOENT') || attempt === ATTEMPTS) throw error;
    }
  }
}

/** What finds out whether a target is in use; loaded for those only that replace one. */
async function useCheck(replace: boolean): Promise<(target: string) => void> {
  return replace ? (await import('../expose/target-in-use.ts')).requireUnused : () => undefined;
}

/** Whether the target may be made, or, where it exists, replaced: asked before anything is downloaded. */
async function requireFree(target: string, replace: boolean): Promise<void> {
  if (fs.lstatSync(target, { throwIfNoEntry: false }) === undefined) return;
  const { requireUnused, useOfTarget } = await import('../expose/target-in-use.ts');
  if (!replace) throw targetExists(target, useOfTarget(target));
  requireUnused(target);
}

function targetExists(target: string, use?: TargetUse): RdpullError {
  const others = 'use it as it is (--keep, or rdpull attach), choose another name with --local=NAME';
  return new RdpullError(
    'target-exists',
    `${printable(target)} exists already${use === undefined ? '' : `, and ${use.what}`}`,
    use === undefined ? `${others}, or replace it with --force` : `${others}; to replace it, ${use.remedy}`,
  );
}

function replaceTarget(made: string, target: string): void {
  const old = fs.lstatSync(target, { throwIfNoEntry: false });
  if (old === undefined || (!old.isDirectory() && !fs.lstatSync(made).isDirectory())) {
    fs.renameSync(made, target);
    return;
  }
  // A directory can be exchanged, but not replaced: the old tree goes with the staging directory.
  renameWithFlags(made, target, RENAME_EXCHANGE);
}

function syncPath(name: string): void {
  const fd = fs.openSync(name, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
