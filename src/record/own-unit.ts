import fs from 'node:fs';

/** The unit that systemd has started this process for: `$INVOCATION_ID` says that it has, cgroups(7) which one. */
export function unitOfThisProcess(): string | undefined {
  const { INVOCATION_ID: invocation } = process.env;
  if (invocation === undefined) return undefined;
  const [, unit] =
    /\/(rdpull[@-][^/\n]*\.service)$/m.exec(fs.readFileSync('/proc/self/cgroup', 'utf8')) ?? [];
  return unit;
}
