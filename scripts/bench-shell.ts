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
