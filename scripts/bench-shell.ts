import { SHORT_LIVED, withoutRuntimeVariables } from '../src/runtime-variables.ts';

/**
 * Runs a bash script with `args` as its $1, $2 ..., and returns what it printed, without the final line feed.
 *
 * @throws Error with what it wrote to standard error, when it fails
 */
export function shell(script: string, ...args: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync(
    ['bash', '-euo', 'pipefail', '-c', script, 'bash', ...args],
    {
      // Numbers and messages in the form that is parsed here.
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    },
  );
  if (exitCode === 0) return stdout.toString().replace(/\n$/, '');
  throw new Error(`exit status ${exitCode} of: ${script}\n${stderr.toString().trim()}`);
}

/** What measured programs run with: no variables for the runtime, which rdpull would start itself once more for. */
export function environment(): NodeJS.ProcessEnv {
  return withoutRuntimeVariables(process.env) ?? process.env;
}

/** The same, and what the unit of a pull sets. */
export function environmentOfPull(): NodeJS.ProcessEnv {
  const [name = '', value] = SHORT_LIVED.split('=');
  return { ...environment(), [name]: value };
}

/**
 * Runs a program while others go on, and returns what it printed, without the final line feed.
 *
 * @throws Error with what it wrote to standard error, when it fails
 */
export async function spawned(...command: readonly string[]): Promise<string> {
  const child = Bun.spawn([...command], { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
  const [text, messages, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status === 0) return text.replace(/\n$/, '');
  throw new Error(`exit status ${status} of ${command.join(' ')}\n${messages.trim()}`);
}
