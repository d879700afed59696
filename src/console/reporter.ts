import type { RdpullError } from './rdpull-error.ts';

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
      if (options.verbose) process.stderr.write(`${causes(error)}\n`);
      if (options.json) printJson({ error: error.toRecord() });
    },
    result(lines, json) {
      if (options.json) printJson(json);
      else process.stdout.write(lines.map((text) => `${text}\n`).join(''));
    },
  };
}

/** Whether standard error is a terminal that understands colours (https://no-color.org). */
function hasColor(): boolean {
  return process.stderr.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
}

/** One line to standard error; systemd.exec(5) sets `$JOURNAL_STREAM` when the journal reads it. */
function line(priority: number, text: string, label?: { label: string; color: string }): void {
  const prefix = process.env['JOURNAL_STREAM'] === undefined ? 'rdpull: ' : `<${priority}>`;
  const shown =
    label === undefined ? '' : hasColor() ? `${label.color}${label.label}:${RESET} ` : `${label.label}: `;
  process.stderr.write(`${prefix}${shown}${text}\n`);
}

function printJson(value: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function causes(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${causes(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
