import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, renameWithFlags } from '../kernel/rename.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { storageError } from './sink/storage-error.ts';

/** Names that start like this are no image names, so that nothing looks at what is still being made. */
const TEMPORARY_PREFIX = '.#rdpull-';

/**
 * A place beside `target` where an object is made before anybody can see it. Until {@link publish} has succeeded,
 * disposing of it removes all that was made. What takes long with large objects (syncing, freeing and removing them) is
 * done by the threads of the runtime's pool: signals and progress have their turn meanwhile.
 */
export class Staging implements AsyncDisposable {
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
    this.path = path.join(directory, `${TEMPORARY_PREFIX}${process.pid}-${crypto.randomUUID()}`);
  }

  /**
   * Gives the complete and verified object at `made` (the staging path, or something below it) its final name, in
   * one step.
   *
   * @throws RdpullError target-exists, or of the storage family
   */
  async publish(made = this.path): Promise<void> {
    try {
      await syncPath(made);
      if (this.#replace) await replaceTarget(made, this.#target);
      else renameWithFlags(made, this.#target, RENAME_NOREPLACE);
      this.#published = made === this.path;
      await syncPath(path.dirname(this.#target));
    } catch (error) {
      throw isSystemError(error, 'EEXIST') ? this.#exists() : storageError(this.#target, 0, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#published) await fs.promises.rm(this.path, { recursive: true, force: true });
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

async function replaceTarget(made: string, target: string): Promise<void> {
  const old = fs.lstatSync(target, { throwIfNoEntry: false });
  if (old === undefined || (!old.isDirectory() && !fs.lstatSync(made).isDirectory())) {
    await fs.promises.rename(made, target);
    return;
  }
  // A directory can be exchanged, but not replaced: the old tree is removed under the temporary name.
  renameWithFlags(made, target, RENAME_EXCHANGE);
  await fs.promises.rm(made, { recursive: true, force: true });
}

async function syncPath(name: string): Promise<void> {
  const handle = await fs.promises.open(name, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
