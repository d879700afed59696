/**
 * Decides who is asked, and loads that one only: as a generator rdpull runs at every daemon-reload of systemd, where
 * each millisecond and MiB count.
 */
export {};

const GENERATOR = 'systemd-import-generator';

const words = process.argv.slice(2);
const calledAs = process.argv0.slice(process.argv0.lastIndexOf('/') + 1);
// Through systemd's link to it, the program is the generator, whatever its arguments are.
const [name, ...args] = calledAs === GENERATOR ? ['generate', ...words] : words;

if (name === 'generate') {
  const { generate } = await import('./commands/generate.ts');
  process.exitCode = await generate(args);
} else {
  const { runCommandLine } = await import('./commands/run-command-line.ts');
  process.exitCode = await runCommandLine(name, args);
}
