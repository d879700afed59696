/** Blanks names of environment variables in the runtime that would act before the first line of the program. */
import fs from 'node:fs';

/** What would become of rdpull, run as root, if these were read. The rest is for src/runtime-variables.ts. */
const NAMES = [
  'BUN_OPTIONS', // more arguments for the runtime: --preload=FILE runs FILE
  'BUN_BE_BUN', // a plain `bun`, which runs anything
  'BUN_INSPECT', // a debugger, who may run anything, at a socket
  'BUN_INSPECT_CONNECT_TO',
  'BUN_INSPECT_PRELOAD',
  'JSC_SIGNAL_FOR_GC', // the runtime ends itself
];

/** elf(5) */
const PT_LOAD = 1;
const PF_R = 4;

/**
 * Overwrites the names with NUL bytes, so that no variable is called like that: a name cannot be empty. They are
 * strings of C, each there once; with another runtime they may be somewhere else, and that has to be looked at.
 *
 * @param path of the executable
 * @throws Error when a name is not found
 */
export function blankRuntimeNames(path: string): void {
  const file = fs.readFileSync(path);
  const constants = readOnlyData(file);
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
  fs.writeFileSync(path, file);
}

/** The segment with the constants of the runtime, which is the only one that is neither written to nor run. */
function readOnlyData(file: Buffer): Buffer {
  // Elf64_Ehdr and Elf64_Phdr
  const e_phoff = Number(file.readBigUInt64LE(32));
  const e_phentsize = file.readUInt16LE(54);
  const e_phnum = file.readUInt16LE(56);
  for (let index = 0; index < e_phnum; index++) {
    const header = e_phoff + e_phentsize * index;
    if (file.readUInt32LE(header) !== PT_LOAD || file.readUInt32LE(header + 4) !== PF_R) continue;
    const p_offset = Number(file.readBigUInt64LE(header + 8));
    return file.subarray(p_offset, p_offset + Number(file.readBigUInt64LE(header + 32)));
  }
  throw new Error('the executable has no segment of constants');
}
