import { type IBuffer, type IBufferCell, Terminal } from '@xterm/headless';
import type { Recording } from './boot-picture-recording.ts';

/** Characters beside each other that look the same, without the blanks around them. */
export interface Run {
  /** Counted from 0. */
  readonly column: number;
  readonly text: string;
  /** ANSI colour, 0 to 15; undefined is that of the terminal. */
  readonly colour: number | undefined;
  readonly isBold: boolean;
}

/** What a row showed from a frame on. */
export interface RowState {
  readonly frame: number;
  readonly runs: readonly Run[];
}

/** A row of everything that the terminal showed, from the first one to the last; most of them scroll out. */
export interface Row {
  readonly states: readonly RowState[];
}

/**
 * Plays a recording to a terminal, and looks at it once a frame.
 *
 * @param frameLength in seconds of the recording
 */
export async function terminalRows(recording: Recording, frameLength: number): Promise<readonly Row[]> {
  const { columns, rows, outputs } = recording;
  const terminal = new Terminal({
    cols: columns,
    rows,
    scrollback: SCROLLBACK,
    allowProposedApi: true,
    logLevel: 'off',
  });
  const tape: RowState[][] = [];
  const frames = Map.groupBy(outputs, ({ seconds }) => Math.floor(seconds / frameLength));
  for (const [frame, shown] of frames) {
    const { promise, resolve } = Promise.withResolvers<void>();
    terminal.write(shown.map(({ text }) => text).join(''), resolve);
    await promise;
    look(terminal.buffer.active, frame, tape);
  }
  terminal.dispose();
  return tape.map((states) => ({ states }));
}

/** More than any boot says: rows that are thrown away would change the numbers of the others. */
const SCROLLBACK = 10_000;

/** Adds what has changed. */
function look(buffer: IBuffer, frame: number, tape: RowState[][]): void {
  for (let index = 0; index < buffer.length; index++) {
    const runs = runsOf(buffer, index);
    const states = tape[index] ?? [];
    tape[index] = states;
    if (!Bun.deepEquals(states.at(-1)?.runs ?? [], runs)) states.push({ frame, runs });
  }
}

function runsOf(buffer: IBuffer, index: number): readonly Run[] {
  const line = buffer.getLine(index);
  const runs: { column: number; text: string; colour: number | undefined; isBold: boolean }[] = [];
  if (line === undefined) return runs;
  let end = 0;
  for (let column = 0; column < line.length; column++) {
    const cell = line.getCell(column);
    const text = cell?.getChars() ?? '';
    if (cell === undefined || text === '' || text === ' ') continue;
    const last = runs.at(-1);
    const look = { colour: colourOf(cell), isBold: cell.isBold() !== 0 };
    const continues = last !== undefined && last.colour === look.colour && last.isBold === look.isBold;
    // Renderers make one blank of several, so there are none in a run.
    if (continues && column - end <= 1) last.text += `${' '.repeat(column - end)}${text}`;
    else runs.push({ column, text, ...look });
    end = column + cell.getWidth();
  }
  return runs;
}

/** Of the 256 colours only those that terminals have names for. */
function colourOf(cell: IBufferCell): number | undefined {
  const colour = cell.getFgColor();
  return cell.isFgPalette() && colour < 16 ? colour : undefined;
}
