import fs from 'node:fs';

/**
 * Waits until the names in a directory are on its disk: fsync(2), "calling fsync() does not necessarily ensure that the entry in the
 * directory containing the file has also reached disk".
 *
 * @throws Error of node:fs
 */
export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
