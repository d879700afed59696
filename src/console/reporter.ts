import fs from 'node:fs';
import type { ProgressOutput } from './progress.ts';
import type { RdpullError } from './rdpull-error.ts';
import { terminalColumns, writeMessage, writeResult } from './standard-streams.ts';

/** How much is said, and in what form. */
export interface ReporterOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/** Where a command tells a person what happens: results on standard output, everything else on standard error. */
export interface Reporter {
  readonly options: ReporterOptions;
  /** Good to know. */
  info(text: string): void;
  /** Only for `--verbose`. */
  detail(text: string): void;
  warn(text: string): void;
  failure(error: RdpullError): void;
  /** Where progress is shown. */
  readonly progressOutput: ProgressOutput;
  /** What the command was called for: lines for a person, or with `--json` the object. */
  result(lines: readonly string[], json: Readonly<Record<string, unknown>>): void;
}

/** Priorities of syslog(3), which systemd reads as `<N>` before a line (sd-daemon(3)). */
const LOG_ERR = 3;
const LOG_WARNING = 4;
const LOG_INFO = 6;

const RED = '\x1b[31m';
const YELLOW = '\x1b[33m';
const RESET = '\x1b[0m';

export function createReporter(options: ReporterOptions): Reporter {
  const say = options.quiet ? () => undefined : line;
  return {
    options,
    info: (text) => say(LOG_INFO, text),
    detail: (text) => options.verbose && say(LOG_INFO, text),
    warn: (text) => say(LOG_WARNING, text, { label: 'warning', color: YELLOW }),
    failure(error) {
      line(LOG_ERR, error.message, { label: 'error', color: RED });
      line(LOG_ERR, `try: ${error.hint}`);
      if (options.verbose) writeMessage(`${causes(error)}\n`);
      if (options.json) printJson({ error: error.toRecord() });
    },
    progressOutput: {
      isTerminal: terminalColumns() !== undefined,
      columns: () => terminalColumns() ?? 80,
      write: writeMessage,
      line: (text) => line(LOG_INFO, text),
    },
    result(lines, json) {
      if (options.json) printJson(json);
      else writeResult(lines.map((text) => `${text}\n`).join(''));
    },
  };
}

/** Whether standard error is a terminal that understands colours (https://no-color.org). */
function hasColor(): boolean {
  return terminalColumns() !== undefined && !process.env['NO_COLOR'];
}

/** One line to standard error. */
function line(priority: number, text: string, label?: { label: string; color: string }): void {
  const shown =
    label === undefined ? '' : hasColor() ? `${label.color}${label.label}:${RESET} ` : `${label.label}: `;
  writeMessage(`${readByJournal() ? `<${priority}>` : 'rdpull: '}${shown}${text}\n`);
}

/**
 * Whether the journal reads standard error: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5)), and may be
 * inherited by a process whose standard error goes elsewhere.
 */
function readByJournal(): boolean {
  const { JOURNAL_STREAM: stream } = process.env;
  if (stream === undefined) return false;
  const { dev, ino } = fs.fstatSync(2);
  return stream === `${dev}:${ino}`;
}

function printJson(value: Readonly<Record<string, unknown>>): void {
  writeResult(`${JSON.stringify(value)}\n`);
}

function causes(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${causes(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
