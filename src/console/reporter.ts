import { boundLines } from './bounded-lines.ts';
import { eventFields, type JournalEvent, type JournalSubject, subjectFields } from './journal-events.ts';
import { isReadByJournal } from './journal-stream.ts';
import type { ProgressOutput } from './progress.ts';
import type { RdpullError } from './rdpull-error.ts';
import { discreet, discreetValue } from './shown-url.ts';
import { terminalColumns, writeMessage, writeResult } from './standard-streams.ts';

/** How much is said, and in what form. */
export interface ReporterOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

/**
 * Lines of each kind that a command writes, each text once, whatever the files and servers that it reads make of it: of more
 * there is the number. What has an event is ours, and counts for none.
 */
const LINES_MAX = { warning: 30, info: 200, detail: 200 } as const;

/** Where a command tells a person what happens: results on standard output, everything else on standard error. */
export interface Reporter {
  readonly options: ReporterOptions;
  /** Good to know. An `event` is what the journal has of it beside the text. */
  info(text: string, event?: JournalEvent): void;
  /** Only for `--verbose`, and for the journal. */
  detail(text: string, event?: JournalEvent): void;
  warn(text: string, event?: JournalEvent): void;
  /** For a command that tells of requests for as long as it runs. */
  readonly unbounded: { info(text: string): void; warn(text: string): void };
  /** The command has ended: says how many lines were too many. */
  end(): void;
  failure(error: RdpullError): void;
  /** Fields that all entries in the journal have from now on: which image they are about. */
  about(subject: JournalSubject): void;
  /** Where progress is shown. */
  readonly progressOutput: ProgressOutput;
  /** What the command was called for: lines for a person, or with `--json` the object. */
  result(lines: readonly string[], json: object): void;
}

/** Priorities of syslog(3), which systemd reads as `<N>` before a line (sd-daemon(3)). */
const LOG_ERR = 3;
const LOG_WARNING = 4;
const LOG_INFO = 6;
const LOG_DEBUG = 7;

const RED = '\x1b[31m';
const YELLOW = '\x1b[33m';
const RESET = '\x1b[0m';

/** Takes the fields of an entry; says whether the journal has it. */
export type SendToJournal = (fields: ReadonlyMap<string, string>) => boolean;

interface Line {
  readonly label?: { readonly text: string; readonly color: string };
  readonly event?: JournalEvent | undefined;
}

/**
 * @param journal where the journal reads standard error: takes entries with fields in place of lines. What it cannot take
 *   is written as a line
 */
export function createReporter(options: ReporterOptions, journal: SendToJournal = () => false): Reporter {
  let subject: ReadonlyMap<string, string> = new Map();

  const send = (priority: number, text: string, event: JournalEvent | undefined) =>
    journal(
      new Map([
        ['MESSAGE', discreet(text)],
        ['PRIORITY', String(priority)],
        ['SYSLOG_IDENTIFIER', 'rdpull'],
        ...subject,
        ...(event === undefined ? [] : [...eventFields(event)].map(discreetField)),
      ]),
    );

  /** To standard error, or to the journal behind it. */
  function line(priority: number, text: string, { label, event }: Line = {}): void {
    if (send(priority, label === undefined ? text : `${label.text}: ${text}`, event)) return;
    const color = label !== undefined && hasColor() ? label.color : '';
    const shown = label === undefined ? '' : `${color}${label.text}:${color === '' ? '' : RESET} `;
    writeMessage(`${isReadByJournal() ? `<${priority}>` : 'rdpull: '}${shown}${discreet(text)}\n`);
  }

  const kinds = {
    info: (text: string, event?: JournalEvent) => options.quiet || line(LOG_INFO, text, { event }),
    detail(text: string, event?: JournalEvent) {
      if (options.quiet) return;
      if (options.verbose) line(LOG_INFO, text, { event });
      else send(LOG_DEBUG, text, event);
    },
    warning: (text: string, event?: JournalEvent) =>
      options.quiet || line(LOG_WARNING, text, { event, label: { text: 'warning', color: YELLOW } }),
  };
  const bounded = {
    info: boundLines(LINES_MAX.info, kinds.info),
    detail: boundLines(LINES_MAX.detail, kinds.detail),
    warning: boundLines(LINES_MAX.warning, kinds.warning, (count) => `and ${count} more warnings`),
  };
  const say = (kind: keyof typeof kinds) => (text: string, event?: JournalEvent) =>
    void (event === undefined ? bounded[kind].add(text) : kinds[kind](text, event));

  return {
    options,
    info: say('info'),
    detail: say('detail'),
    warn: say('warning'),
    unbounded: { info: (text) => void kinds.info(text), warn: (text) => void kinds.warning(text) },
    end() {
      for (const lines of Object.values(bounded)) lines.end();
    },
    failure(error) {
      const { code, message, hint, exitStatus } = error;
      const cause = causes(error);
      line(LOG_ERR, message, {
        label: { text: 'error', color: RED },
        event: { event: 'failed', error: code, exitStatus, hint, cause },
      });
      line(LOG_ERR, `try: ${hint}`);
      if (options.verbose) writeMessage(`${cause}\n`);
      if (options.json) printFailure({ error: { ...error.toRecord(), exitStatus } });
    },
    about(fields) {
      subject = new Map([...subjectFields(fields)].map(discreetField));
    },
    progressOutput: {
      isTerminal: terminalColumns() !== undefined,
      columns: () => terminalColumns() ?? 80,
      write: writeMessage,
      line: (text) => line(LOG_INFO, text),
    },
    result(lines, json) {
      if (options.json) printJson(json);
      else writeResult(lines.map((text) => `${discreet(text)}\n`).join(''));
    },
  };
}

/** Whether standard error is a terminal that understands colours (https://no-color.org). */
function hasColor(): boolean {
  return terminalColumns() !== undefined && !process.env['NO_COLOR'];
}

/** What has failed may be just this: that nothing can be written. Standard error has it. */
function printFailure(value: object): void {
  try {
    printJson(value);
  } catch {
    // Said already.
  }
}

function printJson(value: object): void {
  writeResult(`${JSON.stringify(value, discreetValue)}\n`);
}

/** Where an error was thrown, and what had led to it. */
function causes(error: Error): string {
  const stack = discreet(error.stack ?? error.message);
  return error.cause instanceof Error ? `${stack}\ncaused by ${causes(error.cause)}` : stack;
}

/** A field of the journal. */
function discreetField([name, value]: readonly [string, string]): readonly [string, string] {
  return [name, discreet(value)];
}
