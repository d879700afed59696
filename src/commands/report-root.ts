import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { RootEvent } from '../report/root-reports.ts';
import type { Command } from './command.ts';
import type { ReportedRootJson } from './json-results.ts';

/** Where the initrd mounts the root file system: bootup(7). */
const SYSROOT = '/sysroot';

/** How long the server may take for the last line, in ms: the real root may be configuring the network just then. */
const PATIENCE = 60_000;
/** The same, when somebody wants this to end. */
const STOP_PATIENCE = 1000;

export const reportRoot: Command = {
  name: 'report-root',
  operand: 'UNIT',
  operandIsOptional: true,
  completes: 'file',
  summary: 'tell the server that asked for reports when the root is mounted, and when it was switched to',
  description: `Waits in an initrd until the root file system is mounted, and until PID 1 has left the initrd for it, and tells both to the
server from which the image was pulled, if that asked for reports, as rdpull serve does. It needs nothing of the image.

rdpull-report-root.service runs it at each boot where a server has asked: a pull has then left /run/rdpull/report-to. With no-report in
the expression, or --no-report, none does. UNIT is the file of that unit: it is copied to /run/systemd/system, where the
service manager of the real root finds it, and so lets it run on.`,
  options: [],
  async run(line, { reporter, signal }) {
    const [{ inInitrd }, { OldRoot }, { carryUnit }, { connectServiceManager }, place] = await Promise.all([
      import('../request/initrd.ts'),
      import('../initramfs/old-root.ts'),
      import('../initramfs/carried-unit.ts'),
      import('./service-manager.ts'),
      import('../report/report-place.ts').then(({ readReportPlace }) => readReportPlace()),
    ]);
    const end = (text: string, told: readonly RootEvent[] = []) => {
      reporter.info(text);
      const [mounted, switched] = [told.includes('root-mounted'), told.includes('root-switched')];
      reporter.result([], { mounted, switched } satisfies ReportedRootJson);
    };
    using manager = await connectServiceManager(reporter.detail);
    using root = inInitrd() ? OldRoot.open() : undefined;
    if (root === undefined || place === undefined) {
      manager.ready('there is nothing to do');
      end(
        root === undefined
          ? 'this is no initrd: there is nothing to tell'
          : 'no server has asked for reports',
      );
      return;
    }
    try {
      if (line.operand !== '') carryUnit(line.operand);
    } catch (error) {
      reporter.warn(`${printable(line.operand)} is not carried over: ${reasonOf(error)}`);
    }
    const { RootReports } = await import('../report/root-reports.ts');
    const reports = new RootReports(place);
    const mounted = root.mounted(SYSROOT, signal);
    manager.ready('waiting until the root is mounted, and PID 1 has left the initrd');
    const told: RootEvent[] = [];
    if (await mounted) {
      reports.tell('root-mounted', 'the root is mounted');
      told.push('root-mounted');
    }
    if (await root.left(signal)) {
      reports.tell('root-switched', 'the root was switched to');
      told.push('root-switched');
    }
    const server = shownUrl(place.url);
    const what = told.includes('root-switched')
      ? 'the root was switched to'
      : 'PID 1 has not left the initrd';
    const isTaken = await reports.end(signal.aborted ? STOP_PATIENCE : PATIENCE);
    end(`${what}${isTaken ? '' : `; ${server} could not be told`}`, isTaken ? told : []);
  },
};
