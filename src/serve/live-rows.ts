import type { ProgressOutput } from '../console/progress.ts';
import { cut } from '../console/progress-text.ts';

/** How often a terminal is drawn, and how often a line is written where there is none, in ms. */
const DRAW_INTERVAL = 250;
const LINE_INTERVAL = 5000;

/** Lines that are written at once where there is no terminal. */
const LINES_MAX = 64;

/** What is left of a terminal for lines that stay. */
const ABOVE = 4;
const ROWS_MIN = 4;

/** Rows that say how far everything is. */
export interface LiveRows extends Disposable {
  /** Writes a line that stays, above them. */
  above(write: () => void): void;
}

/**
 * On a terminal the rows are drawn below the lines that stay; elsewhere they become lines every few seconds.
 *
 * @param rows those of now
 * @param height of the terminal, in rows
 */
export function createLiveRows(
  rows: () => readonly string[],
  { isTerminal, write, columns, line }: ProgressOutput,
  height: () => number,
): LiveRows {
  let drawn: readonly string[] = [];
  /** A terminal that became narrower has broken rows into several. */
  const clear = () => {
    const heights = drawn.map((row) => Math.max(1, Math.ceil(Bun.stringWidth(row) / columns())));
    const above = heights.reduce((sum, each) => sum + each, 0);
    if (above > 0) write(`\r\x1b[${above}A\x1b[J`);
    drawn = [];
  };
  const draw = () => {
    clear();
    const shown = first(rows(), Math.max(ROWS_MIN, height() - ABOVE)).map((row) => cut(row, columns() - 1));
    if (shown.length === 0) return;
    write(shown.map((row) => `${row}\n`).join(''));
    drawn = shown;
  };
  const tell = () => {
    for (const row of first(rows(), LINES_MAX)) line(row);
  };
  const timer = isTerminal ? setInterval(draw, DRAW_INTERVAL) : setInterval(tell, LINE_INTERVAL);
  timer.unref();
  return {
    above(writeLine) {
      clear();
      writeLine();
      if (isTerminal) draw();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      clear();
    },
  };
}

/** The first rows, and of the others the number. */
function first(rows: readonly string[], most: number): string[] {
  if (rows.length <= most) return [...rows];
  return [...rows.slice(0, most - 1), `and ${rows.length - most + 1} more`];
}
