import fs from 'node:fs';

/**
 * Gives an attribute of configfs a value, in one write. Some cannot be read, so they are opened for writing alone.
 *
 * @throws Error of the file system, with what the kernel says of the value
 */
export function setAttribute(directory: string, name: string, value: string): void {
  const fd = fs.openSync(`${directory}/${name}`, fs.constants.O_WRONLY);
  try {
    fs.writeSync(fd, value);
  } finally {
    fs.closeSync(fd);
  }
}
