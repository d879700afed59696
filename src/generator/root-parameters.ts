import { sameKey, splitWords } from '../request/kernel-command-line.ts';

/** What the kernel command line says about the root file system: kernel-command-line(7). */
export interface RootParameters {
  readonly root: string | undefined;
  /** `mount.usr=` */
  readonly usr: string | undefined;
  readonly fileSystem: string | undefined;
  /** `rootflags=`, all of them. */
  readonly flags: readonly string[];
  /** `rw` or `ro`, the last one; undefined when there is neither. */
  readonly writable: boolean | undefined;
  /** Whether a verity hash says what the root or /usr is. */
  readonly hasVerity: boolean;
  /** The parameter that says what systemd may use of a disk image: systemd.image-policy(7), systemd.image-filter(7). */
  readonly imageRule: string | undefined;
}

/** systemd 254, 258. */
const IMAGE_RULES = ['systemd.image_policy', 'systemd.image_filter'];

export function rootParameters(commandLine: string): RootParameters {
  let root: string | undefined;
  let usr: string | undefined;
  let fileSystem: string | undefined;
  const flags: string[] = [];
  let writable: boolean | undefined;
  let hasVerity = false;
  let imageRule: string | undefined;
  for (const word of splitWords(commandLine)) {
    const equals = word.indexOf('=');
    const key = equals < 0 ? word : word.slice(0, equals);
    const value = equals < 0 ? undefined : word.slice(equals + 1);
    // Whatever it says, even nothing: what it means is systemd's to judge.
    if (IMAGE_RULES.some((name) => sameKey(key, name))) imageRule = word;
    else if (value === undefined) {
      if (key === 'ro' || key === 'rw') writable = key === 'rw';
    } else if (value !== '') {
      if (key === 'root') root = value;
      else if (sameKey(key, 'mount.usr')) usr = value;
      else if (key === 'rootfstype') fileSystem = value;
      else if (key === 'rootflags') flags.push(value);
      else if (key === 'roothash' || key === 'usrhash') hasVerity = true;
    }
  }
  return { root, usr, fileSystem, flags, writable, hasVerity, imageRule };
}
