import fs from 'node:fs';
import path from 'node:path';

/** Directories that were made for an object. */
export interface MadeDirectories {
  /** Removes those that were made, as far as they are empty again: others may have put something there. */
  removeEmpty(): void;
}

/**
 * Makes a directory and those above it that are missing, for this user alone.
 *
 * @throws errors of Node's fs
 */
export function makeDirectories(directory: string): MadeDirectories {
  const first = fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  return {
    removeEmpty() {
      if (first === undefined) return;
      try {
        for (let at = directory; ; at = path.dirname(at)) {
          fs.rmdirSync(at);
          if (at === first) return;
        }
      } catch {
        // It is not empty: the object is there, or something of somebody else.
      }
    },
  };
}
