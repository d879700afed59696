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

/** Space, tab, newline and backslash are written as `\040` and so on, everything else as it is. */
export function unescapeOctal(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
