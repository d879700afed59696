import { printableUpTo } from '../console/printable.ts';
import { discreet } from '../console/shown-url.ts';
import {
  type EventLine,
  isReportEvent,
  type MachineLine,
  REPORT_LINES_MAX,
  REPORT_NUMBERS,
  REPORT_TEXT_MAX,
  REPORT_TEXTS,
} from '../report/report-line.ts';

/** A report that was taken apart. Whoever sent it: no text in it is longer than it may be, or anything but text to a terminal. */
export interface Report {
  readonly machine: MachineLine;
  readonly events: readonly EventLine[];
}

/** What names a machine is shorter than other texts, in UTF-16 units: a row has room for no more. */
const NAME_MAX = 64;

/** How the kernel writes a UUID. */
const BOOT_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

/** One word as console/shell-command.ts writes it, and as every shell reads it: not all know `\\'` within `$'...'`. */
const WORD = String.raw`(?:[A-Za-z0-9%+,./:=@_-]+|'[^']*'(?:\\''[^']*')*|\$'[^']*')`;

/** What status/retry-command.ts makes. Somebody will paste it: it is a command of ours, and one only. */
const RETRY = new RegExp(
  `^(?:systemctl restart rdpull@${WORD}|systemctl restart '?rdpull@[^'\\n]*'|(?:CREDENTIALS_DIRECTORY=${WORD} )?rdpull(?: ${WORD})+(?:  # [A-Za-z0-9=, -]*)?)$`,
);

/** @returns undefined for what is no report; a line of another kind, or a field, is passed over */
export function parseReport(text: string): Report | undefined {
  const [first, ...rest] = text.split('\n', REPORT_LINES_MAX);
  const machine = machineLine(objectIn(first));
  if (machine === undefined) return undefined;
  const events = rest.flatMap((line) => eventLine(objectIn(line)) ?? []);
  return { machine, events };
}

type Fields = ReadonlyMap<string, unknown>;

function objectIn(line: string | undefined): Fields {
  try {
    const value: unknown = JSON.parse(line ?? '');
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : new Map();
  } catch {
    return new Map();
  }
}

function machineLine(fields: Fields): MachineLine | undefined {
  const boot = fields.get('boot');
  if (typeof boot !== 'string' || !BOOT_ID.test(boot)) return undefined;
  const mac = fields.get('mac');
  return {
    boot,
    ...texts(fields, ['name', 'serial'], NAME_MAX),
    ...texts(fields, ['uki'], REPORT_TEXT_MAX),
    ...numbers(fields, ['firmware']),
    ...(typeof mac === 'string' && MAC.test(mac) && { mac }),
  };
}

function eventLine(fields: Fields): EventLine | undefined {
  const event = fields.get('event');
  if (typeof event !== 'string' || !isReportEvent(event)) return undefined;
  const retry = fields.get('retry');
  return {
    event,
    at: 0,
    ...numbers(fields, ['at', 'rate', ...REPORT_NUMBERS]),
    ...texts(fields, ['message', ...REPORT_TEXTS], REPORT_TEXT_MAX),
    ...(typeof retry === 'string' && retry.length <= REPORT_TEXT_MAX && isRetry(retry) && { retry }),
  };
}

/** Whether a text can be shown as a command to be pasted. */
function isRetry(text: string): boolean {
  return printableUpTo(text.length, text) === text && RETRY.test(text);
}

function texts<Name extends string>(
  fields: Fields,
  names: readonly Name[],
  longest: number,
): { readonly [Each in Name]?: string } {
  const found: { [Each in Name]?: string } = {};
  for (const name of names) {
    const value = fields.get(name);
    if (typeof value === 'string' && value !== '') found[name] = printableUpTo(longest, discreet(value));
  }
  return found;
}

/** Sizes, rates and times: none is negative, or more than can be counted. */
function numbers<Name extends string>(
  fields: Fields,
  names: readonly Name[],
): { readonly [Each in Name]?: number } {
  const found: { [Each in Name]?: number } = {};
  for (const name of names) {
    const value = fields.get(name);
    if (typeof value !== 'number' || value < 0 || value > Number.MAX_SAFE_INTEGER) continue;
    found[name] = Math.round(value);
  }
  return found;
}
