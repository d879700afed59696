import type { JournalField, JournalSubject } from '../console/journal-events.ts';
import { discreetValue } from '../console/shown-url.ts';

/** The media type of a report: one JSON object a line. */
export const REPORT_TYPE = 'application/jsonl';

/** The longest report that is sent, and taken; in bytes, and in lines. */
export const REPORT_BYTES_MAX = 64 * 1024;
export const REPORT_LINES_MAX = 64;

/** A longer text in a report is cut, in UTF-16 units. */
export const REPORT_TEXT_MAX = 1000;

/** What a report tells of. Those that the journal has too (console/journal-events.ts) are called as there. */
export const REPORT_EVENTS = [
  'pull-started',
  'progress',
  'server-awaited',
  'pull-finished',
  'handed-over',
  'image-broken',
  'image-substituted',
  'image-exposed',
  'image-kept',
  'failed',
  'interrupted',
  'root-mounted',
  'root-switched',
] as const;
export type ReportEvent = (typeof REPORT_EVENTS)[number];

export const isReportEvent = (name: string): name is ReportEvent =>
  REPORT_EVENTS.some((each) => each === name);

/** The fields of an event that hold a text, and those that hold a number. The rest of the journal's is nobody's business here. */
export const REPORT_TEXTS = [
  'url',
  'target',
  'sha256',
  'verifiedBy',
  'manifestUrl',
  'signedBy',
  'loop',
  'root',
  'mount',
  'error',
  'hint',
] as const satisfies readonly JournalField[];
export const REPORT_NUMBERS = [
  'size',
  'received',
  'written',
  'milliseconds',
  'blocksOnDemand',
  'bytesOnDemand',
] as const satisfies readonly JournalField[];

type Texts = { readonly [Name in (typeof REPORT_TEXTS)[number]]?: string };
type Numbers = { readonly [Name in (typeof REPORT_NUMBERS)[number]]?: number };

/** The first line of each report: whose it is. */
export interface MachineLine {
  /** The kernel's ID of this boot (/proc/sys/kernel/random/boot_id). */
  readonly boot: string;
  readonly name?: string;
  readonly serial?: string;
  /** Of the interface that reaches the server. */
  readonly mac?: string;
  /** What the firmware has booted: a URL. */
  readonly uki?: string;
  /** How long the firmware took until it started the kernel, in ms, where it has written that down. */
  readonly firmware?: number;
}

/** Each of the others: something that has happened. Bytes throughout. */
export interface EventLine extends Texts, Numbers {
  readonly event: ReportEvent;
  /** Since the start of the kernel, in ms. */
  readonly at: number;
  /** In words, as the journal has it. */
  readonly message?: string;
  /** Of progress: bytes a second. */
  readonly rate?: number;
  /** Of a failure: the command that tries it again, for a shell. */
  readonly retry?: string;
}

/** What of the fields of a journal entry a report has. */
export function reportedFields(subject: JournalSubject): Texts & Numbers {
  const texts = REPORT_TEXTS.flatMap((name) =>
    subject[name] === undefined ? [] : [[name, String(subject[name])]],
  );
  const numbers = REPORT_NUMBERS.flatMap((name) =>
    subject[name] === undefined ? [] : [[name, Number(subject[name])]],
  );
  return Object.fromEntries([...texts, ...numbers]);
}

/** A report. Nothing in it is secret, and no text longer than a report may have. */
export function encodeReport(machine: MachineLine, events: readonly EventLine[]): string {
  const line = (each: object) => `${JSON.stringify(each, sendable)}\n`;
  return [machine, ...events].map(line).join('');
}

function sendable(key: string, value: unknown): unknown {
  const discreet = discreetValue(key, value);
  return typeof discreet === 'string' ? discreet.slice(0, REPORT_TEXT_MAX) : discreet;
}
