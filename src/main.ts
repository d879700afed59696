import { withoutRuntimeVariables } from './runtime-variables.ts';

/*
 * Decides who is asked, and loads nothing else. The generator runs at every daemon-reload of systemd, where each millisecond and
 * MiB count: it is one small file (scripts/compile.ts), which needs no module of Node.
 */

const GENERATOR = 'systemd-import-generator';

const words = process.argv.slice(2);
const environment = withoutRuntimeVariables(process.env);
if (environment !== undefined) {
  // Once more without them, because the runtime has read some already. Nothing was begun yet.
  if (process.execve === undefined) throw new Error('the runtime has no execve()');
  process.execve('/proc/self/exe', [process.argv0, ...words], environment);
}
const calledAs = process.argv0.slice(process.argv0.lastIndexOf('/') + 1);
// Through systemd's link to it, the program is the generator, whatever its arguments are.
const [name, ...args] = calledAs === GENERATOR ? ['generate', ...words] : words;

if (name === 'generate') {
  const { generate } = await import('./commands/generate.ts');
  process.exitCode = await generate(args);
} else {
  const { runCommandLine } = await import('./commands/run-command-line.ts');
  const status = await runCommandLine(name, args);
  // Everything is written: nobody has to wait until the thread of a transfer has cleared its memory away.
  process.exit(status);
}
