/** Blanks what Bun's compiler adds of its own modules that no boot loads: their bytecode. They stay, as source text. */
import { programHeaders } from './elf.ts';

/**
 * Modules of the runtime without bytecode. Bun takes along that of everything that ours might load, through others: 2.3 MB of 126
 * modules. What the generator, a pull, an attach and their workers do load is in none of these lists: there the text
 * would cost them up to 9 million instructions. Small modules are not worth a line.
 */
const NO_BOOT_LOADS: readonly string[] = [
  // What rdpull-serve is made of. Receiving is undici's, which needs none of it (scripts/undici-requests-only.ts).
  'node:http',
  'node:https',
  'node:_http_agent',
  'node:_http_client',
  'node:_http_common',
  'node:_http_incoming',
  'node:_http_outgoing',
  'node:_http_server',
  'internal:http',
  'internal:http/FakeSocket',
  'internal:http1_server_fallback',
  // Questions to a person.
  'node:readline',
  'internal:readline/interface',
  'internal:readline/utils',
  'internal:repl/history',
  'internal:repl/node-primordials',
  'internal:repl/node-shims',
  // Processes beside this one, and code that is compiled as it runs.
  'node:child_process',
  'node:vm',
  'internal:cluster/RoundRobinHandle',
  'internal:cluster/child',
  'internal:cluster/primary',
  'internal:worker/messaging',
  // What is in node:fs and in streams without being called.
  'internal:fs/cp',
  'internal:fs/cp-sync',
  'internal:fs/glob',
  'internal:fs/watch',
  'internal:streams/compose',
  'internal:streams/duplexify',
  'internal:streams/fast-utf8-stream',
  'internal:streams/iter/classic',
  'internal:streams/iter/from',
  'internal:streams/iter/pull',
  'internal:streams/operators',
  'internal:webstreams_adapters',
  // Dear ones that were replaced.
  'node:assert',
  'internal:assert/assertion_error',
  'internal:assert/calltracker',
  'node:async_hooks',
  'node:perf_hooks',
  'node:url',
  'node:util',
  'internal:util/inspect',
  'node:zlib',
];

/** The list of all modules of the runtime, name and file of each, begins with this one. The number of a module is its place there. */
const FIRST_MODULE = 'bun:bake\0builtin://bun/bake\0';
const FILE_PREFIX = 'builtin://';

/** What ends the program that Bun's compiler appends. */
const TRAILER = '\n---- Bun! ----\n';
/** Before it lies what is where in the program: its length (u64), and the offset and the length of the list of its modules (u32). */
const OFFSETS_LENGTH = 32;
/** Of each module of the program six ranges and four bytes are listed, then of each a hash. */
const PROGRAM_MODULE_LENGTH = 6 * 8 + 4;
const HASH_LENGTH = 4;
/** What the bytecode of every module begins with. */
const MAGIC = Buffer.from('26edf0f103000000', 'hex');

/** The bytecode of a module of the runtime, a part of the program. */
interface RuntimeBytecode {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * Overwrites the bytecode with zeros, which take no room in a packed initrd. Who loads such a module all the same parses its text.
 *
 * @param executable that Bun has compiled, with bytecode; changed in place
 * @throws Error when it is not as it was when this was written
 */
export function blankRuntimeBytecode(executable: Buffer): void {
  const names = runtimeModules(executable);
  const unknown = NO_BOOT_LOADS.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw anotherFormat(`it has no module ${unknown.join(', ')}`);
  for (const { name, bytes } of runtimeBytecodes(executable, names)) {
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw anotherFormat(`no bytecode of ${name}`);
    if (NO_BOOT_LOADS.includes(name)) bytes.fill(0);
  }
}

/** All modules of the runtime, in their order. */
function runtimeModules(executable: Buffer): string[] {
  const first = executable.indexOf(FIRST_MODULE, 0, 'latin1');
  if (first < 0) throw anotherFormat('no list of its modules');
  const names: string[] = [];
  const string = (from: number) => executable.toString('latin1', from, executable.indexOf(0, from));
  for (let at = first; ; ) {
    const name = string(at);
    const file = string(at + name.length + 1);
    if (!file.startsWith(FILE_PREFIX)) return names;
    names.push(name);
    at += name.length + 1 + file.length + 1;
  }
}

/**
 * Which of them have bytecode in the program that was appended, blanked or not, and where: a count, and of each the number, offset
 * and length (u32).
 */
export function runtimeBytecodes(
  executable: Buffer,
  names: readonly string[] = runtimeModules(executable),
): RuntimeBytecode[] {
  const trailer = executable.lastIndexOf(TRAILER, executable.length, 'latin1');
  const end = Math.max(...programHeaders(executable).map(({ offset, fileSize }) => offset + fileSize));
  if (trailer < 0 || trailer > end) throw anotherFormat('no program at its end');
  const offsets = trailer - OFFSETS_LENGTH;
  const length = Number(executable.readBigUInt64LE(offsets));
  const program = executable.subarray(offsets - length, offsets);
  const modules = executable.readUInt32LE(offsets + 8);
  const modulesLength = executable.readUInt32LE(offsets + 12);
  const table = modules + modulesLength + (modulesLength / PROGRAM_MODULE_LENGTH) * HASH_LENGTH;
  const count = table + 4 <= length ? program.readUInt32LE(table) : 0;
  if (count === 0 || count > names.length) throw anotherFormat(`bytecode of ${count} modules`);
  return Array.from({ length: count }, (_, index) => {
    const entry = table + 4 + 12 * index;
    const [number, offset, size] = [0, 4, 8].map((field) => program.readUInt32LE(entry + field));
    const name = names[number ?? -1];
    if (name === undefined) throw anotherFormat(`bytecode of module ${number}`);
    return { name, bytes: program.subarray(offset, (offset ?? 0) + (size ?? 0)) };
  });
}

function anotherFormat(found: string): Error {
  return new Error(
    `the runtime (Bun ${Bun.version}) keeps the bytecode of its modules in another way: ${found}. See what it appends now`,
  );
}
