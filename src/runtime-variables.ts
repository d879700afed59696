/** The last and most expensive of the runtime's compilers. */
const FTL_COMPILER = 'BUN_JSC_useFTLJIT';

/**
 * What the unit of a pull sets: without the FTL compiler, which takes longer for the functions of a pull than they take
 * without it. A tarball of 17,000 members is unpacked in 0.81 of the time on one processor. It can be told
 * by nothing else, and it changes nothing but the time, so that anybody may set it.
 */
export const SHORT_LIVED = `${FTL_COMPILER}=0`;

/**
 * What the names of environment variables begin with that the runtime and its libraries read, in capitals: options, debuggers, allocators,
 * feature flags. None of them is meant for rdpull, but that of {@link SHORT_LIVED}. Those that act before the first line of the program are
 * blanked in the executable (scripts/runtime-names.ts).
 */
const OF_RUNTIME = [
  'BUN_',
  'NODE_',
  'JSC_',
  'WTF_',
  'UV_',
  'OPENSSL_',
  'SIMDUTF_',
  'MIMALLOC_',
  'MALLOC',
  'WEBKIT',
  'JAVASCRIPTCORE',
  'GOMAXPROCS',
];

/** The environment without what is for the runtime; undefined when there is nothing of that kind in it. */
export function withoutRuntimeVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  const names = Object.keys(environment);
  // All at once: nearly always there is none, and the generator is done after some ten million instructions, of which a regular expression is 0.3.
  const all = `\n${names.join('\n')}`.toUpperCase();
  if (!OF_RUNTIME.some((start) => all.includes(`\n${start}`))) return undefined;
  const others = names.filter((name) => name === FTL_COMPILER || !isOfRuntime(name));
  if (others.length === names.length) return undefined;
  return Object.fromEntries(others.map((name) => [name, environment[name]]));
}

function isOfRuntime(name: string): boolean {
  const capitals = name.toUpperCase();
  return OF_RUNTIME.some((start) => capitals.startsWith(start));
}
