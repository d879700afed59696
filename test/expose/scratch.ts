import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** A directory for one test file, on the disk (not on a tmpfs), and the way to leave nothing of it behind. */
export interface Scratch {
  readonly directory: string;
  path(name: string): string;
  /** Runs a program in the directory and returns what it printed. Throws with its messages when it fails. */
  run(command: string, ...args: readonly string[]): string;
  /** A sparse file of `size` bytes. */
  file(name: string, size: number): string;
  /** Detaches the loop devices of the files in the directory, and no others, and unmounts what is mounted in it. */
  sweep(): void;
  remove(): void;
}

export function createScratch(): Scratch {
  const made = new TemporaryDirectory();
  const directory = fs.realpathSync(made.path);
  const inDirectory = (name: string) => path.join(directory, name);
  const sweep = () => {
    // Devices first: once a tmpfs is unmounted their files have no path any more to know them by.
    for (const device of attachedTo(directory)) spawnSync('losetup', ['-d', device]);
    for (const line of fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').reverse()) {
      const mountPoint = line.split(' ')[4]?.replaceAll('\\040', ' ');
      if (mountPoint?.startsWith(`${directory}/`)) spawnSync('umount', ['-l', mountPoint]);
    }
  };
  return {
    directory,
    path: inDirectory,
    run: (command, ...args) => run(directory, command, args),
    file(name, size) {
      fs.writeFileSync(inDirectory(name), '');
      fs.truncateSync(inDirectory(name), size);
      return inDirectory(name);
    },
    sweep,
    remove() {
      sweep();
      made[Symbol.dispose]();
    },
  };
}

/** The loop devices bound to files in `directory`, as the kernel lists them. */
export function attachedTo(directory: string): string[] {
  return fs
    .readdirSync('/sys/block')
    .filter(
      (name) => name.startsWith('loop') && sysfs(`${name}/loop/backing_file`).startsWith(`${directory}/`),
    )
    .map((name) => `/dev/${name}`);
}

/** An attribute below /sys/block, the empty text when it is not there. */
export function sysfs(attribute: string): string {
  try {
    return fs.readFileSync(`/sys/block/${attribute}`, 'utf8').trim();
  } catch {
    return '';
  }
}

function run(directory: string, command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: directory, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}
