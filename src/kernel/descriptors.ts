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

/** How many descriptors this process may have at one time: RLIMIT_NOFILE, by proc_pid_limits(5). Infinity where nobody says. */
export function descriptorLimit(): number {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
}
