import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { TransferStatus } from '../status/transfer-status.ts';
import type { Command } from './command.ts';

export const status: Command = {
  name: 'status',
  operand: 'IMAGE',
  operandIsOptional: true,
  completes: 'file',
  summary:
    'show the pulls of this boot: how far each is, what vouched for it, where it is attached, or why not',
  description: `Shows all pulls of this boot, or that of IMAGE (a path, or the name at its end): those that run, those that have
come to their end, and those that the generator has planned. A pull writes down how far it is in
/run/rdpull/transfers; what is attached and mounted is looked up. systemd is not asked.

  done      the image is complete, and what was asked for held
  kept      it was there already, and --keep was given; skipped: there was no boot URL
  running   it is on its way; planned: its unit has not begun
  failed    why, what to try, and the command that does it again
  stopped   by a signal that let it say so; killed: by one that did not
  unknown   its unit was started, and left nothing

Shown are the pulls that go on or have failed, and the images that are there; with --all, or by its name, also what is
gone since.

Exit status: 0; when a pull has failed, that of the first one that has (10 network, 11 HTTP, ...); 15 when one was
stopped or killed.`,
  options: [{ name: 'all', help: 'show also what was pulled, and is gone since' }],
  async run(line, { reporter, exitLike }) {
    const [
      { isGone, readStatus },
      { statusLines },
      { statusJson },
      { now },
      { GENERATED_UNITS },
      { RECORDS },
    ] = await Promise.all([
      import('../status/transfer-status.ts'),
      import('../status/status-lines.ts'),
      import('../status/status-json.ts'),
      import('../record/moment.ts'),
      import('../status/generated-unit.ts'),
      import('../record/record-file.ts'),
    ]);
    const all = readStatus();
    const report = { ...all, transfers: all.transfers.filter((each) => isNamed(each, line.operand)) };
    if (report.transfers.length === 0 && report.unreadable.length === 0) {
      const what = line.operand === '' ? 'no pull' : 'no such pull';
      reporter.info(
        `${what} has begun in this boot, and none is planned: nothing in ${RECORDS}, and no rdpull@*.service in ${GENERATED_UNITS.join(', ')}`,
      );
    }
    const gone = report.transfers.filter(isGone);
    const present = report.transfers.filter((each) => !isGone(each));
    const isWhole = line.has('all') || line.operand !== '';
    const shown = { ...report, transfers: isWhole ? [...present, ...gone] : present };
    reporter.result(statusLines(shown, now().boot), statusJson(report));
    if (!isWhole && gone.length > 0) {
      const what =
        gone.length === 1 ? 'one more pull, whose image is' : `${gone.length} more pulls, whose images are`;
      reporter.info(`${what} gone since: --all shows ${gone.length === 1 ? 'it' : 'them'}`);
    }
    const failed = report.transfers.map(failureOf).find((error) => error !== undefined);
    if (failed !== undefined) exitLike(failed);
  },
};

/** Whether a transfer is the one that was asked for: by its path, its file name, or that without `.raw`. */
function isNamed({ target }: TransferStatus, name: string): boolean {
  return name === '' || target === name || target.endsWith(`/${name}`) || target.endsWith(`/${name}.raw`);
}

function failureOf({ state, target, record }: TransferStatus): RdpullError | undefined {
  if (record?.error !== undefined && state === 'failed') return RdpullError.fromRecord(record.error);
  if (state !== 'killed' && state !== 'interrupted') return undefined;
  return new RdpullError('boot-incomplete', `the pull of ${printable(target)} was stopped`, 'pull it again');
}
