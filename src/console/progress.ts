import { type BarStyle, type ProgressSubject, progressBar, progressLine } from './progress-text.ts';
import { createRateMeter } from './transfer-rate.ts';

/** How often a terminal is drawn, and how often a line is written where there is none, in ms. */
const DRAW_INTERVAL = 100;
const LINE_INTERVAL = 1000;

const CLEAR_LINE = '\r\x1b[K';

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
  /** Call it whenever bytes have arrived. Bytes in all, before and after decompression, and read on demand. */
  update(received: number, decoded: number, onDemand?: number): void;
  /** The last word: removes the bar from a terminal. */
  end(): void;
}

/**
 * Shows how a download goes on: a bar on a terminal, elsewhere a line a second.
 *
 * @param now a clock in ms
 */
export function createProgress(
  subject: ProgressSubject,
  output: ProgressOutput,
  style: BarStyle,
  now: () => number = () => performance.now(),
): Progress {
  const interval = output.isTerminal ? DRAW_INTERVAL : LINE_INTERVAL;
  let shownAt = now();
  let drawn = 0;
  const rateAt = createRateMeter(shownAt);
  /** A terminal that became narrower has broken the bar into several rows, the last of which has the cursor. */
  const clear = () => {
    const above = Math.ceil(drawn / output.columns()) - 1;
    output.write(above > 0 ? `\r\x1b[${above}A\x1b[J` : CLEAR_LINE);
  };
  return {
    update(received, decoded, onDemand) {
      const at = now();
      if (at - shownAt < interval) return;
      shownAt = at;
      const state = { ...subject, received, decoded, onDemand, rate: rateAt(at, received) };
      if (!output.isTerminal) {
        output.line(progressLine(state));
        return;
      }
      clear();
      // Some terminals wrap as soon as the last column is filled.
      const bar = progressBar(state, output.columns() - 1, style);
      drawn = Bun.stringWidth(bar);
      output.write(bar);
    },
    end() {
      if (output.isTerminal) clear();
      drawn = 0;
    },
  };
}
