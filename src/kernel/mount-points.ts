import fs from 'node:fs';

/** The directories on which something is mounted, in the order of mounting: proc_pid_mountinfo(5). */
function mountPoints(): string[] {
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map(unescapeOctal);
}

/** Where something is mounted on an existing directory or below it, in this mount namespace. */
export function mountsBelow(directory: string): string[] {
  const real = fs.realpathSync(directory);
  return mountPoints().filter((mountPoint) => mountPoint === real || mountPoint.startsWith(`${real}/`));
}

/**
 * Where the tree at an existing directory is mounted to by bind mounts of the whole of it, in this mount namespace; not
 * that directory itself.
 */
export function mountsOf(directory: string): string[] {
  const real = fs.realpathSync(directory);
  const { dev, ino } = fs.statSync(real, { bigint: true });
  // makedev(3); on btrfs stat(2) shows other device numbers, and nothing is found.
  const device = `${(dev >> 8n) & 0xfffn}:${(dev & 0xffn) | ((dev >> 12n) & 0xfff00n)}`;
  return fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, , shown, , field = ''] = line.split(' ');
      const mountPoint = unescapeOctal(field);
      // Only mounts of the same device are looked at: another one may be of a server that does not answer.
      if (shown !== device || mountPoint === real) return [];
      const stat = fs.statSync(mountPoint, { bigint: true, throwIfNoEntry: false });
      return stat?.dev === dev && stat.ino === ino ? [mountPoint] : [];
    });
}

/** Space, tab, newline and backslash are written as `\040` and so on, everything else as it is. */
export function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
