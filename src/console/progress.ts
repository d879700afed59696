import { duration, size } from './quantity.ts';
import { createRateMeter } from './transfer-rate.ts';

/** How often a terminal is drawn, and how often a line is written where there is none, in ms. */
const DRAW_INTERVAL = 100;
const LINE_INTERVAL = 1000;

const BAR_WIDTH = 24;
const NARROWEST_BAR = 8;
const CLEAR_LINE = '\r\x1b[K';

/** A moment of a transfer. */
export interface ProgressState {
  readonly name: string;
  /** Bytes that have arrived, and bytes in all where that is known. */
  readonly received: number;
  readonly total: number | undefined;
  /** Bytes a second. */
  readonly rate: number;
}

/** Where progress is drawn: standard error, or a test. */
export interface ProgressOutput {
  readonly isTerminal: boolean;
  readonly columns: () => number;
  /** Text as it is, for a terminal. */
  readonly write: (text: string) => void;
  /** A line of a log. */
  readonly line: (text: string) => void;
}

export interface Progress {
  update(received: number): void;
  /** The last word: removes the bar from a terminal. */
  end(): void;
}

/**
 * Shows how a download goes on: a bar on a terminal, elsewhere a line a second.
 *
 * @param now a clock in ms
 */
export function createProgress(
  name: string,
  total: number | undefined,
  output: ProgressOutput,
  now: () => number = () => performance.now(),
): Progress {
  const interval = output.isTerminal ? DRAW_INTERVAL : LINE_INTERVAL;
  let shownAt = now();
  const rateAt = createRateMeter(shownAt);
  return {
    update(received) {
      const at = now();
      if (at - shownAt < interval) return;
      shownAt = at;
      const state = { name, received, total, rate: rateAt(at, received) };
      if (output.isTerminal) output.write(CLEAR_LINE + progressBar(state, output.columns()));
      else output.line(progressLine(state));
    },
    end() {
      if (output.isTerminal) output.write(CLEAR_LINE);
    },
  };
}

/** `image.raw.xz: 37 %, 58.2 MiB of 158 MiB, 11.2 MiB/s, 9 s left` */
export function progressLine({ name, received, total, rate }: ProgressState): string {
  if (total === undefined) return `${name}: ${size(received)}, ${size(rate)}/s`;
  const left = rate > 0 ? `, ${duration(((total - received) * 1000) / rate)} left` : '';
  return `${name}: ${percent(received, total)} %, ${size(received)} of ${size(total)}, ${size(rate)}/s${left}`;
}

/** The line, with a bar before it that takes the room there is; cut where even the line is too long. */
export function progressBar(state: ProgressState, columns: number): string {
  const text = progressLine(state);
  const width = Math.min(BAR_WIDTH, columns - 1 - text.length - '[] '.length);
  if (state.total === undefined || width < NARROWEST_BAR) return text.slice(0, columns - 1);
  const filled = Math.round((width * percent(state.received, state.total)) / 100);
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${text}`;
}

/** Whole percent, never more than 100. */
export function percent(received: number, total: number): number {
  return total === 0 ? 100 : Math.min(100, Math.floor((received * 100) / total));
}
