import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { removeTree } from '../kernel/remove-tree.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, renameWithFlags } from '../kernel/rename.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { storageError } from './sink/storage-error.ts';

/** Names that start like this are no image names, so that nothing looks at what is still being made. */
const TEMPORARY_PREFIX = '.#rdpull-';

/**
 * A place beside `target` where an object is made before anybody can see it. Until {@link publish} has succeeded,
 * disposing of it removes all that was made.
 */
export class Staging implements Disposable {
  /** Where to make the object: on the file system of the target, under a name that is no image name. */
  readonly path: string;
  readonly #target: string;
  readonly #replace: boolean;
  #published = false;

  /**
   * @param replace whether an existing target may be replaced
   * @throws RdpullError target-exists, or of the storage family
   */
  constructor(target: string, replace: boolean) {
    this.#target = target;
    this.#replace = replace;
    const directory = path.dirname(target);
    try {
      fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw storageError(target, 0, error);
    }
    if (!replace && fs.lstatSync(target, { throwIfNoEntry: false }) !== undefined) throw this.#exists();
    this.path = path.join(directory, `${TEMPORARY_PREFIX}${process.pid}-${randomBytes(8).toString('hex')}`);
  }

  /**
   * Gives the complete and verified object at `made` (the staging path, or something below it) its final name, in
   * one step.
   *
   * @throws RdpullError target-exists, or of the storage family
   */
  publish(made = this.path): void {
    try {
      syncPath(made);
      if (this.#replace) replaceTarget(made, this.#target);
      else renameWithFlags(made, this.#target, RENAME_NOREPLACE);
      this.#published = made === this.path;
      syncPath(path.dirname(this.#target));
    } catch (error) {
      throw isSystemError(error, 'EEXIST') ? this.#exists() : storageError(this.#target, 0, error);
    }
  }

  [Symbol.dispose](): void {
    if (!this.#published) removeTree(this.path);
  }

  #exists(): RdpullError {
    const shown = printable(this.#target);
    return new RdpullError(
      'target-exists',
      `${shown} exists already`,
      'use it as it is (rdpull attach), choose another name with --local=NAME, or replace it with --force',
    );
  }
}

function replaceTarget(made: string, target: string): void {
  const old = fs.lstatSync(target, { throwIfNoEntry: false });
  if (old === undefined || (!old.isDirectory() && !fs.lstatSync(made).isDirectory())) {
    fs.renameSync(made, target);
    return;
  }
  // A directory can be exchanged, but not replaced: the old tree is removed under the temporary name.
  renameWithFlags(made, target, RENAME_EXCHANGE);
  removeTree(made);
}

function syncPath(name: string): void {
  const fd = fs.openSync(name, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
