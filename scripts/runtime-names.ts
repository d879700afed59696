/** Blanks names of environment variables in the runtime that would act before the first line of the program. */
import { readOnlyData } from './elf.ts';

/** What would become of rdpull, run as root, if these were read. The rest is for src/runtime-variables.ts. */
const NAMES = [
  'BUN_OPTIONS', // more arguments for the runtime: --preload=FILE runs FILE
  'BUN_BE_BUN', // a plain `bun`, which runs anything
  'BUN_INSPECT', // a debugger, who may run anything, at a socket
  'BUN_INSPECT_CONNECT_TO',
  'BUN_INSPECT_PRELOAD',
  'JSC_SIGNAL_FOR_GC', // the runtime ends itself
];

/**
 * Overwrites the names with NUL bytes, so that no variable is called like that: a name cannot be empty. They are
 * strings of C, each there once; with another runtime they may be somewhere else, and that has to be looked at.
 *
 * @param executable changed in place
 * @throws Error when a name is not found
 */
export function blankRuntimeNames(executable: Buffer): void {
  const constants = readOnlyData(executable);
  for (const name of NAMES) {
    const string = `\0${name}\0`;
    const at = constants.indexOf(string, 0, 'latin1');
    if (at < 0 || constants.includes(string, at + 1, 'latin1')) {
      throw new Error(
        `the runtime (Bun ${Bun.version}) does not have ${name} once: find out how it reads it now`,
      );
    }
    constants.fill(0, at, at + string.length);
  }
}
