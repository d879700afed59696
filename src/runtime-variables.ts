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
 * feature flags. One is a whole name. None of them is meant for rdpull, but that of {@link SHORT_LIVED}. Those that act before the first line of
 * the program are blanked in the executable (scripts/runtime-names.ts).
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
  'GOMAXPROCS\n',
];

/** The environment without what is for the runtime; undefined when there is nothing of that kind in it. */
export function withoutRuntimeVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  const names = Object.keys(environment);
  const suspects = names.includes(FTL_COMPILER) ? names.filter((name) => name !== FTL_COMPILER) : names;
  // All at once: nearly always there is none, and a function called for each is compiled, at the cost of a start.
  if (!isOfRuntime(suspects.join('\n'))) return undefined;
  const others = names.filter((name) => name === FTL_COMPILER || !isOfRuntime(name));
  return Object.fromEntries(others.map((name) => [name, environment[name]]));
}

/** Whether one of these names, a line each, is of the runtime. Not by a regular expression, which takes longer until it is compiled. */
function isOfRuntime(names: string): boolean {
  const lines = `\n${names}\n`.toUpperCase();
  return OF_RUNTIME.some((start) => lines.includes(`\n${start}`));
}
