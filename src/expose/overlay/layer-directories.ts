import fs from 'node:fs';
import { isSystemError, reasonWithoutPath } from '../../kernel/system-error.ts';
import type { RootOverlay } from '../../request/root-overlay.ts';
import { UPPER } from './places.ts';
import { unusable } from './unusable.ts';

/** At the top of the file system that takes what is written, of which all else is somebody else's. */
const OWN = 'rdpull-overlay';

export interface LayerDirectories {
  readonly upper: string;
  readonly work: string;
}

/**
 * The directories of the upper layer of an image, on the file system at {@link UPPER}: those of an earlier boot, or new ones. What
 * other images have there is theirs.
 *
 * @param root what it lies over: its owner and mode are those of the new root directory
 * @param name of the image
 * @throws RdpullError overlay-unusable, also when one of them is a link, or no directory
 */
export function layerDirectories(root: string, where: RootOverlay, name: string): LayerDirectories {
  const own = `${UPPER}/${OWN}`;
  const directory = `${own}/${directoryName(name)}`;
  const layers = { upper: `${directory}/upper`, work: `${directory}/work` };
  try {
    makeDirectories(root, [own, directory], layers);
    return layers;
  } catch (error) {
    throw unusable(
      where,
      `its directory ${OWN} cannot be used: ${reasonWithoutPath(error)}`,
      `mount it elsewhere, and look at what is there: ls -laR ${OWN}`,
      error,
    );
  }
}

function makeDirectories(root: string, above: readonly string[], layers: LayerDirectories): void {
  for (const each of above) makeDirectory(each, 0o700);
  if (makeDirectory(layers.upper, 0o755)) {
    const { mode, uid, gid } = fs.statSync(root);
    fs.chownSync(layers.upper, uid, gid);
    fs.chmodSync(layers.upper, mode & 0o7777);
  }
  makeDirectory(layers.work, 0o700);
}

/** A name without what separates the options of a mount. */
const directoryName = (name: string) => encodeURIComponent(name);

/** @returns whether it was not there before */
function makeDirectory(directory: string, mode: number): boolean {
  try {
    fs.mkdirSync(directory, { mode });
    return true;
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
  // A link would lead out of the file system that was asked for.
  if (!fs.lstatSync(directory).isDirectory()) throw new Error(`ENOTDIR: ${directory} is no directory`);
  return false;
}
