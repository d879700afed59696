/**
 * What the unit of a pull sets: without the last and most expensive of the runtime's compilers (FTL), which takes longer for the functions of a
 * pull than they take without it. A tarball of 17,000 members is unpacked in 0.81 of the time on one processor. It can be told
 * by nothing else, and it changes nothing but the time, so that anybody may set it.
 */
export const SHORT_LIVED = 'BUN_JSC_useFTLJIT=0';

/**
 * Environment variables that the runtime and its libraries read: options, debuggers, allocators, feature flags. None of
 * them is meant for rdpull, but that of {@link SHORT_LIVED}. Those that act before the first line of the program are blanked in the executable
 * (scripts/runtime-names.ts).
 */
const OF_RUNTIME =
  /^(?!BUN_JSC_useFTLJIT$)(?:(?:BUN|NODE|JSC|WTF|UV|OPENSSL|SIMDUTF|MIMALLOC)_|Malloc|WebKit|JavaScriptCore|GOMAXPROCS$)/im;

/** The environment without what is for the runtime; undefined when there is nothing of that kind in it. */
export function withoutRuntimeVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv | undefined {
  const names = Object.keys(environment);
  // All at once: nearly always there is none, and a look at each of them has the expression compiled.
  if (!OF_RUNTIME.test(names.join('\n'))) return undefined;
  const others = names.filter((name) => !OF_RUNTIME.test(name));
  if (others.length === names.length) return undefined;
  return Object.fromEntries(others.map((name) => [name, environment[name]]));
}
