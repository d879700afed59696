import fs from 'node:fs';

/**
 * Makes sure that so many files can be opened now. The runtime tells of a socket or a name that could not be had for want of
 * descriptors as if nobody had answered.
 *
 * @throws Error EMFILE or ENFILE
 */
export function requireDescriptors(count: number): void {
  const opened: number[] = [];
  try {
    while (opened.length < count) opened.push(fs.openSync('/', fs.constants.O_RDONLY));
  } finally {
    for (const fd of opened) fs.closeSync(fd);
  }
}
