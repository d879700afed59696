import { type EventLine, REPORT_LINES_MAX } from './report-line.ts';

/** Events that wait for the server, at most; without the line about the machine, they fit into one report. */
const LINES_MAX = REPORT_LINES_MAX - 1;

/**
 * What is still to be told. It never grows beyond its bound: newer progress takes the place of older, and where there is too
 * much, the oldest goes.
 */
export class ReportQueue {
  #lines: EventLine[] = [];

  add(line: EventLine): void {
    const isNews = (each: EventLine) => each.event !== 'progress' || each.target !== line.target;
    this.#lines = [...(line.event === 'progress' ? this.#lines.filter(isNews) : this.#lines), line].slice(
      -LINES_MAX,
    );
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** All that waits, which is the taker's from now on. */
  take(): readonly EventLine[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }

  /** What was taken, and could not be sent: progress is old by now. */
  putBack(lines: readonly EventLine[]): void {
    const kept = lines.filter(({ event }) => event !== 'progress');
    this.#lines = [...kept, ...this.#lines].slice(-LINES_MAX);
  }
}
