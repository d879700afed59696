import fs from 'node:fs';
import path from 'node:path';
import { isSystemError } from './system-error.ts';

/** One mount, as proc_pid_mountinfo(5) has it. */
export interface Mount {
  readonly id: string;
  /** MAJOR:MINOR; of btrfs not what stat(2) says. */
  readonly device: string;
  /** What of its file system is mounted: a path from the root of that. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly source: string;
  /** Of the file system, not of this mount of it; as they are, with `\040` for a space. */
  readonly options: string;
}

/**
 * The mounts that a process sees, in the order of mounting; none when it is gone, or may not be asked.
 *
 * @param process its PID
 */
export function readMounts(process: number | 'self' = 'self'): Mount[] {
  return parseMounts(readProcess(`/proc/${process}/mountinfo`));
}

/** The lines of a `mountinfo`. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    // The optional fields before the `-` vary in number.
    const [left = '', right = ''] = line.split(' - ');
    const [id, , device, root, mountPoint] = left.split(' ');
    const [type, source = '', options = ''] = right.split(' ');
    if (id === undefined || device === undefined || root === undefined) return [];
    if (mountPoint === undefined || type === undefined) return [];
    return {
      id,
      device,
      root: unescapeOctal(root),
      mountPoint: unescapeOctal(mountPoint),
      type,
      source: unescapeOctal(source),
      options,
    };
  });
}

/** A dev_t of stat(2) as {@link Mount.device} has it: makedev(3). */
export function mountDevice(dev: bigint): string {
  const major = (dev >> 8n) & 0xfffn;
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xfff00n);
  return `${major}:${minor}`;
}

/** Where an existing file or directory lies: on which file system, and at which path from the root of that. */
export interface MountedPlace {
  readonly device: string;
  readonly path: string;
}

/** undefined for what lies on a mount that is not to be seen from here */
export function mountedPlace(
  name: string,
  mounts: readonly Mount[] = readMounts(),
): MountedPlace | undefined {
  const real = fs.realpathSync(name);
  const id = mountId(real);
  const mount = mounts.find((each) => each.id === id);
  if (mount === undefined) return undefined;
  return { device: mount.device, path: path.join(mount.root, path.relative(mount.mountPoint, real)) };
}

/** Where something is mounted on an existing file or directory or below it, in this mount namespace. */
export function mountsBelow(name: string, mounts: readonly Mount[] = readMounts()): string[] {
  const real = fs.realpathSync(name);
  return mounts.map(({ mountPoint }) => mountPoint).filter((mountPoint) => isWithin(mountPoint, real));
}

/**
 * Where the tree at an existing directory is mounted to by bind mounts of the whole of it, in this mount namespace; not
 * that directory itself.
 */
export function mountsOf(directory: string): string[] {
  const real = fs.realpathSync(directory);
  const mounts = readMounts();
  const place = mountedPlace(real, mounts);
  if (place === undefined) return [];
  return mounts
    .filter(({ device, root, mountPoint }) => {
      return device === place.device && root === place.path && mountPoint !== real;
    })
    .map(({ mountPoint }) => mountPoint);
}

/** Whether a path is `directory`, or lies in it. Both without links and `..`. */
export function isWithin(name: string, directory: string): boolean {
  return name === directory || name.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}

/** A mount namespace that is not the one of this process, seen by a process in it. */
export interface OtherNamespace {
  readonly process: number;
  readonly mounts: readonly Mount[];
}

/** The other mount namespaces of this machine, each once, as far as this user may look into them: mount_namespaces(7). */
export function otherMountNamespaces(): OtherNamespace[] {
  const seen = new Set([namespaceOf('self')]);
  const others: OtherNamespace[] = [];
  for (const process of processes()) {
    const namespace = namespaceOf(process);
    if (namespace === undefined || seen.has(namespace)) continue;
    seen.add(namespace);
    others.push({ process, mounts: readMounts(process) });
  }
  return others;
}

/** The PIDs of the processes that are there. */
export function processes(): number[] {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function namespaceOf(process: number | 'self'): string | undefined {
  return readProcessLink(`/proc/${process}/ns/mnt`);
}

/** The target of a link in /proc; undefined when the process is gone, or may not be asked. */
export function readProcessLink(link: string): string | undefined {
  return unlessHidden(() => fs.readlinkSync(link));
}

function readProcess(file: string): string {
  return unlessHidden(() => fs.readFileSync(file, 'utf8')) ?? '';
}

function unlessHidden<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL')) return undefined;
    throw error;
  }
}

/** proc_pid_fdinfo(5): the `mnt_id` of the mount that a file is reached by. */
function mountId(name: string): string | undefined {
  const O_PATH = 0o10000000; // asm-generic/fcntl.h
  const fd = fs.openSync(name, O_PATH);
  try {
    return /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  } finally {
    fs.closeSync(fd);
  }
}

/** Space, tab, newline and backslash are written as `\040` and so on, everything else as it is. */
function unescapeOctal(field: string): string {
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
