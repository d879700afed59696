import fs from 'node:fs';
import path from 'node:path';
import { isSystemError } from './system-error.ts';

/** stat(2); undefined where there is nothing, also because the path leads through a file (`throwIfNoEntry` throws then) or in a circle. */
export function statAt(name: string): fs.Stats | undefined {
  return orNothing(() => fs.statSync(name));
}

/** lstat(2), likewise. */
export function lstatAt(name: string): fs.Stats | undefined {
  return orNothing(() => fs.lstatSync(name));
}

/** What is on the way to a directory and is none; undefined when there is, or can be, such a directory, or nobody lets us look. */
export function obstacleTo(directory: string): string | undefined {
  try {
    let place = directory;
    while (lstatAt(place) === undefined) place = path.dirname(place);
    return statAt(place)?.isDirectory() === true ? undefined : place;
  } catch {
    return undefined;
  }
}

function orNothing(look: () => fs.Stats): fs.Stats | undefined {
  try {
    return look();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
}
