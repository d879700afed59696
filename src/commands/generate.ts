import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import { readGeneratorInput } from '../generator/generator-input.ts';
import { openGeneratorLog } from '../generator/kernel-log.ts';
import { type GeneratorInput, planUnits } from '../generator/unit-plan.ts';
import { writeUnitTree } from '../generator/unit-tree.ts';

export const GENERATE_HELP = `Usage: rdpull generate NORMAL [EARLY LATE]

Writes the systemd units for the pull expressions of this boot into the directories NORMAL, EARLY and LATE, as
systemd.generator(7) describes them; with one directory all units go there. systemd calls it at boot and at every
daemon-reload, through a link: /etc/systemd/system-generators/systemd-import-generator.

Expressions come from rd.systemd.pull= (in an initrd) or systemd.pull= (on the host) on the kernel command line, and
from the lines of the system credential import.pull. One that is wrong is reported and left out.

Environment:
  SYSTEMD_PROC_CMDLINE   used in place of the kernel command line
  SYSTEMD_IN_INITRD      yes or no: whether this is an initrd (default: whether /etc/initrd-release exists)
  SYSTEMD_SCOPE          set by systemd: messages go to the kernel's log, not to standard error

Exit status: 0; 1 when a directory cannot be written; 2 wrong usage.
`;

/**
 * Runs as a generator; returns the exit status. It is in nobody's interest that a boot fails because of a wrong
 * expression, so that only what keeps all units from being written counts as a failure.
 */
export async function generate(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(GENERATE_HELP);
    return 0;
  }
  const [normal, early, late] = args;
  if (normal === undefined || (args.length !== 1 && args.length !== 3) || args.includes('')) {
    const given = args.includes('') ? 'an empty name' : `${args.length} arguments`;
    process.stderr.write(
      `rdpull: error: generate takes one directory or three, and not ${given}\n` +
        'rdpull: try: rdpull generate NORMAL EARLY LATE\n',
    );
    return 2;
  }
  const log = openGeneratorLog(process.env);
  try {
    const input = readGeneratorInput(process.env, log.warn);
    const entries = planUnits({ ...input, lacksBootUrl: await lacksBootUrl(input) }, log.warn);
    writeUnitTree(entries, { normal, early: early ?? normal, late: late ?? normal });
    return 0;
  } catch (error) {
    log.warn(`no units are written: ${printable(reasonOf(error))}`);
    return 1;
  } finally {
    log.close();
  }
}

/** Only an expression that needs the EFI variables is worth loading what reads them. */
async function lacksBootUrl({
  commandLine,
  credential,
}: Pick<GeneratorInput, 'commandLine' | 'credential'>): Promise<boolean> {
  const texts = [commandLine, ...(credential?.expressions ?? [])];
  if (!texts.some((text) => text.includes('bootorigin'))) return false;
  const origin = await import('../origin/boot-url-absence.ts');
  return origin.lacksBootUrl();
}
