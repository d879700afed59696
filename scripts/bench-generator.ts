import fs from 'node:fs';
import path from 'node:path';
import type { Entry } from './bench-comparison.ts';
import { SYSTEMD_TREE } from './bench-peers.ts';
import { environment } from './bench-shell.ts';
import { measure } from './bench-usage.ts';

/** On a tmpfs, as /run/systemd/generator is. */
const UNITS = '/dev/shm';
const EXPRESSION = 'rd.systemd.pull=raw,machine,verify=no:root:http://192.0.2.1:8081/image.raw.xz';

/** Command lines that a generator may find. */
export const GENERATOR_TASKS = [
  { title: 'generator, one expression', commandLine: `quiet ${EXPRESSION}` },
  { title: 'generator, none', commandLine: 'quiet' },
] as const;

/**
 * rdpull as a generator, an executable made like it that does nothing (`nothing`), and systemd 262's own generator, all
 * in the same environment.
 */
export function generatorEntries(
  commandLine: string,
  {
    rdpull,
    nothing,
    scratch,
  }: { readonly rdpull: string; readonly nothing: string; readonly scratch: string },
): Entry[] {
  const units = path.join(UNITS, `rdpull-bench-${process.pid}`);
  const entry = (peer: string, command: readonly string[]): Entry => ({
    peer,
    verified: '',
    async run() {
      fs.mkdirSync(units, { recursive: true });
      const variables = [
        `SYSTEMD_PROC_CMDLINE=${commandLine}`,
        'SYSTEMD_IN_INITRD=1',
        'SYSTEMD_LOG_TARGET=null',
      ];
      const run = await measure(['/usr/bin/env', ...variables, ...command], {
        scratch,
        stagePeaks: undefined,
        env: environment(),
      });
      fs.rmSync(units, { recursive: true });
      if (!run.ok) throw new Error(`${command[0]} fails with status ${run.status}: ${run.messages}`);
      return run.usage;
    },
  });
  const systemd = `${SYSTEMD_TREE}/usr/lib/systemd/system-generators/systemd-import-generator`;
  return [
    entry('rdpull generate', [rdpull, 'generate', units, units, units]),
    entry('an empty Bun executable', [nothing]),
    fs.existsSync(systemd)
      ? entry('systemd 262', [
          `${SYSTEMD_TREE}/run`,
          path.relative(SYSTEMD_TREE, systemd),
          units,
          units,
          units,
        ])
      : { peer: 'systemd 262', unable: 'scripts/systemd-tree forky was not run' },
  ];
}
