/** Runs another tool and waits for it, while other scenarios go on. Returns its standard output. */
export async function tool(command: readonly string[], input?: string): Promise<string> {
  const child = Bun.spawn([...command], {
    stdin: input === undefined ? 'ignore' : new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (child.exitCode === 0) return stdout;
  const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-20).join('\n');
  throw new Error(`${command.slice(0, 4).join(' ')} ... failed with status ${child.exitCode}:\n${said}`);
}

/** The SHA-256 of a file. */
export async function digestOf(file: string): Promise<string> {
  return (await tool(['sha256sum', file])).slice(0, 64);
}
