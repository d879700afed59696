import { quoted } from '../console/printable.ts';
import { nearest } from './nearest.ts';

/** One word of the kernel command line. `value` is undefined where the word has no `=` at all. */
export interface KernelParameter {
  readonly key: string;
  readonly value: string | undefined;
}

/** What the kernel command line says about pulling. */
export interface PullParameters {
  /** The values of `systemd.pull=`, in order and not parsed yet; an empty one is there too. */
  readonly expressions: readonly string[];
  /** `systemd.pull.success_action=`: goes to every unit as `SuccessAction=`. */
  readonly successAction: string | undefined;
  /** `systemd.pull.failure_action=`: goes to every unit as `FailureAction=`. */
  readonly failureAction: string | undefined;
  /** `rd.rdpull.cache=`, the last one, not parsed yet; the real root has its own disks. */
  readonly cache: string | undefined;
}

/** What `SuccessAction=` may say: systemd.unit(5). A closed set, because the value is written into a unit file. */
const ACTIONS: readonly string[] = [
  'none',
  'reboot',
  'reboot-force',
  'reboot-immediate',
  'poweroff',
  'poweroff-force',
  'poweroff-immediate',
  'exit',
  'exit-force',
  'soft-reboot',
  'soft-reboot-force',
  'kexec',
  'kexec-force',
  'halt',
  'halt-force',
  'halt-immediate',
];

/**
 * Splits the text of /proc/cmdline into words as systemd does: `'` and `"` group and vanish wherever they stand, a
 * backslash is an ordinary character, and a quote left open takes the rest of the line.
 */
export function splitWords(commandLine: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (const character of commandLine) {
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (' \t\r\n'.includes(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** Whether two keys are the same to systemd, which takes `-` and `_` for one character. */
export function sameKey(one: string, other: string): boolean {
  return one.replaceAll('-', '_') === other.replaceAll('-', '_');
}

/**
 * The parameters that are meant for this side of the boot: in the initrd those that start with `rd.`, without it; on
 * the host the others. (systemd: PROC_CMDLINE_RD_STRICT and PROC_CMDLINE_STRIP_RD_PREFIX.)
 */
export function kernelParameters(commandLine: string, inInitrd: boolean): KernelParameter[] {
  const parameters: KernelParameter[] = [];
  for (const word of splitWords(commandLine)) {
    if (word.startsWith('rd.') !== inInitrd) continue;
    const own = inInitrd ? word.slice('rd.'.length) : word;
    const equals = own.indexOf('=');
    parameters.push(
      equals < 0
        ? { key: own, value: undefined }
        : { key: own.slice(0, equals), value: own.slice(equals + 1) },
    );
  }
  return parameters;
}

/**
 * Picks `systemd.pull=`, its two actions and `rdpull.cache=` out of the text of /proc/cmdline. Every expression counts; of an action
 * the last usable one does, and an empty one takes back those before it.
 *
 * @param warn takes a line about each word that is ignored
 */
export function pullParameters(
  commandLine: string,
  inInitrd: boolean,
  warn: (message: string) => void,
): PullParameters {
  const expressions: string[] = [];
  let successAction: string | undefined;
  let failureAction: string | undefined;
  let cache: string | undefined;

  for (const { key, value } of kernelParameters(commandLine, inInitrd)) {
    const isPull = sameKey(key, 'systemd.pull');
    const isSuccess = sameKey(key, 'systemd.pull.success_action');
    const isFailure = sameKey(key, 'systemd.pull.failure_action');
    const isCache = inInitrd && sameKey(key, 'rdpull.cache');
    if (!isPull && !isSuccess && !isFailure && !isCache) continue;

    const name = inInitrd ? `rd.${key}` : key;
    if (value === undefined) {
      warn(`${name} on the kernel command line is ignored: "=" and a value are missing`);
    } else if (isPull) {
      expressions.push(value);
    } else if (isCache) {
      cache = value;
    } else if (value !== '' && !ACTIONS.includes(value)) {
      const meant = nearest(value, ACTIONS);
      const remedy = meant === undefined ? `valid are ${ACTIONS.join(', ')}` : `did you mean "${meant}"?`;
      warn(`${name}=${quoted(value)} on the kernel command line is ignored: no such action, ${remedy}`);
    } else if (isSuccess) {
      successAction = value || undefined;
    } else {
      failureAction = value || undefined;
    }
  }
  return { expressions, successAction, failureAction, cache };
}
