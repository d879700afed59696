import type { ProgressOutput } from '../console/progress.ts';
import { ChecksumLists } from './checksum-list.ts';
import { EventStream } from './event-stream.ts';
import { FileDigests } from './file-digests.ts';
import { createLiveRows } from './live-rows.ts';
import { machineRow } from './machine-line.ts';
import { createMachineLog, type MachineLogOutput } from './machine-log.ts';
import { MachineTable } from './machine-table.ts';
import { ReportIntake } from './report-intake.ts';
import { createRequestLog, type RequestLog, type RequestLogOutput } from './request-log.ts';
import { ServedDirectory } from './served-directory.ts';
import { WithheldFiles } from './withheld-files.ts';

/** What signs, and what opens it: paths. */
export interface SecretFiles {
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
}

/** Where everything is told. */
export interface SiteOutput extends RequestLogOutput, MachineLogOutput {
  readonly progress: ProgressOutput;
  /** Of the terminal, in rows. */
  readonly height: () => number;
  warn(text: string): void;
}

/** What is served, and who hears of it. Disposing of it ends what is drawn. */
export interface Site extends Disposable {
  readonly directory: ServedDirectory;
  readonly digests: FileDigests;
  readonly lists: ChecksumLists;
  readonly log: RequestLog;
  readonly machines: MachineTable;
  readonly reports: ReportIntake;
  /** Of the open pages. */
  readonly news: EventStream;
  info(text: string): void;
  warn(text: string): void;
}

/** @throws RdpullError credential-unusable */
export async function createSite(
  path: string,
  { key, passphrase }: SecretFiles,
  output: SiteOutput,
): Promise<Site> {
  const signer =
    key === undefined ? undefined : await (await import('./list-signer.ts')).readListSigner(key, passphrase);
  const secret = [key, passphrase].filter((file) => file !== undefined);
  const directory = new ServedDirectory(path, new WithheldFiles(secret));
  const digests = new FileDigests();
  const machines = new MachineTable();
  const rows = createLiveRows(() => liveRows(machines, log), output.progress, output.height);
  const info = (text: string) => rows.above(() => output.info(text));
  const above = { ...output, info };
  const log = createRequestLog(above, machines);
  const told = createMachineLog(machines, above);
  const warn = (text: string) => rows.above(() => output.warn(text));
  const lists = new ChecksumLists(directory, digests, signer, warn);
  const news = new EventStream({ directory, machines, signer, warn });
  return {
    ...{ directory, digests, lists, log, machines, reports: new ReportIntake(machines), news, info, warn },
    [Symbol.dispose]() {
      news[Symbol.dispose]();
      told[Symbol.dispose]();
      log[Symbol.dispose]();
      rows[Symbol.dispose]();
    },
  };
}

/** The machines that tell how far they are, and the transfers of everybody else. */
function liveRows(machines: MachineTable, log: RequestLog): string[] {
  const shown = new Set<string>();
  const rows = machines.machines.flatMap((machine) => {
    const row = machineRow(machine);
    if (row === undefined) return [];
    shown.add(machine.address);
    return [row];
  });
  return [...rows, ...log.rows(shown)];
}
