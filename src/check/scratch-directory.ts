import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { removeTree } from '../kernel/remove-tree.ts';
import { claimStagingDirectory, removeStaleStaging } from '../transfer/staging-directory.ts';

/** A directory that only this user enters, and that is gone when it is disposed of. */
export interface ScratchDirectory extends Disposable {
  readonly path: string;
}

/**
 * Makes one, and removes those that a check has left which was killed.
 *
 * @param tell takes a line for what was left
 * @throws RdpullError target-unwritable
 */
export async function openScratchDirectory(tell: (text: string) => void): Promise<ScratchDirectory> {
  const parent = os.tmpdir();
  try {
    removeStaleStaging(parent, tell);
    const { path: directory, fd } = await claimStagingDirectory(
      path.join(parent, `check-${randomUUID()}`),
      tell,
    );
    return {
      path: directory,
      [Symbol.dispose]() {
        try {
          removeTree(directory);
        } finally {
          fs.closeSync(fd);
        }
      },
    };
  } catch (error) {
    throw scratchUnwritable(error);
  }
}

export function scratchUnwritable(cause: unknown): RdpullError {
  return new RdpullError(
    'target-unwritable',
    `no temporary files can be made: ${printable(reasonOf(cause))}`,
    'name another place for them: TMPDIR=DIR rdpull check ...',
    { cause },
  );
}
