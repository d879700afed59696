import type { EventLine, MachineLine } from '../report/report-line.ts';
import { eventLines } from './machine-line.ts';
import type { MachineTable } from './machine-table.ts';

/** Lines about machines that are written in one second, at most: more than anybody reads, and less than fills a disk. */
const LINES_A_SECOND = 40;

/** Something that a machine has told, for programs. */
export interface ReportJson {
  readonly event: 'report';
  readonly client: string;
  readonly machine: MachineLine;
  readonly report: EventLine;
}

/** Where the lines go. */
export interface MachineLogOutput {
  info(text: string): void;
  /** Takes everything that machines tell. */
  report(json: ReportJson): void;
}

/** Writes what machines tell. */
export function createMachineLog(
  machines: MachineTable,
  output: MachineLogOutput,
  now: () => number = () => performance.now(),
): Disposable {
  let second = { began: now(), lines: 0, untold: 0 };
  const nextSecond = () => {
    if (second.untold > 0) output.info(`and ${second.untold} more lines about machines`);
    second = { began: now(), lines: 0, untold: 0 };
  };
  const timer = setInterval(() => second.untold > 0 && nextSecond(), 1000);
  timer.unref();
  const watch = machines.watch({
    told(machine, event) {
      const { address, boot } = machine;
      if (boot?.about !== undefined) {
        output.report({ event: 'report', client: address, machine: boot.about, report: event });
      }
      if (now() - second.began >= 1000) nextSecond();
      for (const line of eventLines(machine, event)) {
        second.lines++;
        if (second.lines <= LINES_A_SECOND) output.info(line);
        else second.untold++;
      }
    },
    changed: () => undefined,
    gone: () => undefined,
  });
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      watch[Symbol.dispose]();
    },
  };
}
