import type { IncomingMessage } from 'node:http';
import { REPORT_BYTES_MAX, REPORT_LINES_MAX, REPORT_TYPE } from '../report/report-line.ts';
import type { MachineTable } from './machine-table.ts';
import { ReportAllowance } from './report-allowance.ts';
import { parseReport } from './report-parser.ts';

/** Where reports are taken. No file can be called so: hidden ones are not served. */
export const REPORT_PATH = '/.rdpull/report';

/** When who reports too much may go on, in seconds. */
const PAUSE = 10;

/** The answer to a report: a status, and why it was not taken. */
export interface Taken {
  readonly status: 204 | 400 | 413 | 415 | 429;
  readonly reason?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Takes what machines tell, within bounds, into the table. No file is read or written for it. */
export class ReportIntake {
  readonly #table: MachineTable;
  readonly #allowance = new ReportAllowance();

  constructor(table: MachineTable) {
    this.#table = table;
  }

  /** @param address who sends it */
  async take(request: IncomingMessage, address: string): Promise<Taken> {
    // Before a byte of it is read: whoever sends too much is not read.
    if (!this.#allowance.take(address, 1)) return tooMuch();
    // What no page of another site can make a browser send without asking here first (Fetch Standard, "CORS-safelisted").
    if (request.headers['content-type'] !== REPORT_TYPE) {
      return { status: 415, reason: `a report is ${REPORT_TYPE}`, headers: { connection: 'close' } };
    }
    const body = await bodyOf(request, REPORT_BYTES_MAX);
    if (body === undefined) {
      return {
        status: 413,
        reason: `a report has at most ${REPORT_BYTES_MAX} bytes`,
        headers: { connection: 'close' },
      };
    }
    const lines = Math.min(REPORT_LINES_MAX, body.split('\n', REPORT_LINES_MAX).length);
    if (!this.#allowance.take(address, lines)) return tooMuch();
    const report = parseReport(body);
    if (report === undefined) return { status: 400, reason: 'it is no report' };
    this.#table.heard(address, report);
    return { status: 204 };
  }
}

const tooMuch = (): Taken => ({
  status: 429,
  reason: 'there are too many reports from there',
  headers: { 'retry-after': String(PAUSE), connection: 'close' },
});

/** The body of a request; undefined when it is longer than `most` bytes, or breaks off. */
function bodyOf(request: IncomingMessage, most: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let length = 0;
    if (Number(request.headers['content-length'] ?? 0) > most) return resolve(undefined);
    request.on('data', (part: Buffer) => {
      length += part.length;
      if (length <= most) parts.push(part);
      else resolve(undefined);
    });
    request.on('end', () => resolve(length > most ? undefined : Buffer.concat(parts).toString()));
    request.on('close', () => resolve(undefined));
    request.on('error', () => resolve(undefined));
  });
}
