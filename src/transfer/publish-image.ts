import fs from 'node:fs';
import type { ServerIdentity, SourceOptions } from '../source/source.ts';
import type { Demand } from './promise.ts';
import { fetchSideFiles } from './side-files.ts';
import { storageError } from './sink/storage-error.ts';
import type { Staging } from './staging.ts';

/** What to make of a disk image that is complete and verified. */
interface Publication {
  readonly target: string;
  readonly force: boolean;
  readonly readOnly: boolean;
  /** The suffixes of the files that belong beside the complete image at `path`. */
  readonly sideFiles: (path: string) => readonly string[];
}

/** Where it came from. */
export interface PublishedSource {
  /** As it was asked for, before redirects. */
  readonly url: string;
  /** What that server was shown. */
  readonly server: ServerIdentity | undefined;
  readonly lastModified: Date | undefined;
}

/**
 * Gives a disk image its attributes, what belongs beside it, and its final name.
 *
 * @throws RdpullError of the storage family, and as `fetchSideFiles`
 */
export async function publishImage(
  staging: Staging,
  { target, force, readOnly, sideFiles }: Publication,
  { url, server, lastModified }: PublishedSource,
  demand: Demand,
  options: SourceOptions,
  warn: (text: string) => void,
): Promise<void> {
  const suffixes = sideFiles(staging.path);
  const access = { ...options, ...server };
  using beside = await fetchSideFiles({ url, suffixes, target, force, demand, warn }, access);
  setAttributes(staging.path, readOnly, lastModified);
  try {
    beside.publish();
    staging.publish();
  } catch (error) {
    beside.retract();
    throw error;
  }
}

function setAttributes(path: string, readOnly: boolean, modified: Date | undefined): void {
  try {
    fs.chmodSync(path, readOnly ? 0o444 : 0o644);
    if (modified !== undefined) fs.utimesSync(path, modified, modified);
  } catch (error) {
    throw storageError(path, 0, error);
  }
}
