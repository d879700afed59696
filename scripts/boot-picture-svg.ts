import type { Recording } from './boot-picture-recording.ts';
import { type Row, type RowState, type Run, terminalRows } from './boot-picture-rows.ts';

/** Of the picture, in seconds: how long the boot takes in it, and how long the last frame stays. */
const PLAYED = 12;
const HELD = 5;

/** In a second of the picture. */
const FRAMES = 6;

/** How many rows are seen. */
const ROWS = 37;

/** In pixels: a cell, the window around them, and the height of its title. */
const CELL = { width: 8, height: 18 };
const MARGIN = 14;
const TITLE = 34;

/** Not everybody has the same fonts: texts get as long as their columns are. */
const FONT = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono","Liberation Mono",monospace';

/** As on a dark terminal, whatever is around it. */
const PALETTE = [
  '#6e7681',
  '#ff7b72',
  '#56d364',
  '#e3b341',
  '#79c0ff',
  '#d2a8ff',
  '#56d4dd',
  '#c9d1d9',
  '#8b949e',
  '#ffa198',
  '#7ee787',
  '#f2cc60',
  '#a5d6ff',
  '#e2c5ff',
  '#b3f0ff',
  '#ffffff',
];

/**
 * Draws a recorded boot as an SVG that plays it; where nothing moves, it is the last frame. It needs no script and no
 * other file.
 */
export async function drawBoot(recording: Recording): Promise<string> {
  const seconds = recording.outputs.at(-1)?.seconds ?? 0;
  const frameLength = seconds / (PLAYED * FRAMES - 1);
  const rows = foldFarewell(await terminalRows(recording, frameLength));
  const used = rows.slice(0, rows.findLastIndex(({ states }) => lastRuns(states).length > 0) + 1);
  const width = recording.columns * CELL.width + 2 * MARGIN;
  const height = ROWS * CELL.height + TITLE + MARGIN;
  const animations = new Animations(PLAYED * FRAMES + HELD * FRAMES);
  const lines = used.map((row, index) => drawRow(row, index, width, animations)).join('\n');
  const fills = filled(used);
  const tape = animations.move(
    'y',
    fills.map(({ frame, rows }) => ({ frame, offset: scroll(rows) })),
  );
  const cover = animations.move(
    'y',
    fills.map(({ frame, rows }) => ({ frame, offset: rows * CELL.height })),
  );
  const last = scroll(used.length);
  const speed = Math.round(seconds / PLAYED);
  const title = `serial console, ${speed} times as fast as it was (software emulation, no KVM)`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">A machine boots over HTTP, and rdpull pulls its root image</title>
<style>
text{font:13px ${FONT};fill:#c9d1d9}
.b{font-weight:bold}
.note{fill:#8b949e;font-style:italic}
${coloursOf(used)}
@media (prefers-reduced-motion:no-preference){
${animations.style()}
}
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8" fill="#0d1117" stroke="#6e7681"/>
<circle cx="18" cy="17" r="5" fill="#ff7b72"/><circle cx="36" cy="17" r="5" fill="#e3b341"/><circle cx="54" cy="17" r="5" fill="#56d364"/>
<text x="76" y="21.5" class="note">${escaped(title)}</text>
<clipPath id="screen"><rect y="${TITLE}" width="${width}" height="${ROWS * CELL.height}"/></clipPath>
<g clip-path="url(#screen)">
<g transform="translate(${MARGIN} ${TITLE})">
<g${tape} transform="translate(0 ${last})">
${lines}
<rect${cover} transform="translate(0 ${used.length * CELL.height})" x="-4" width="${width - 2 * MARGIN + 8}" height="${ROWS * CELL.height}" fill="#0d1117"/>
</g>
</g>
</g>
</svg>
`;
}

/** The rows that systemd fills when it stops everything that only the initrd needs, from here to there, are one row. */
const FAREWELL = {
  begins: /^\[ {2}OK {2}\] Stopped target initrd\.target/,
  ends: /initrd-switch-root\.target/,
};

function foldFarewell(rows: readonly Row[]): readonly Row[] {
  const from = rows.findIndex(({ states }) => FAREWELL.begins.test(textOf(lastRuns(states))));
  const to = rows.findIndex(
    ({ states }, index) => index > from && FAREWELL.ends.test(textOf(lastRuns(states))),
  );
  const frame = rows[from]?.states.at(-1)?.frame;
  if (from < 0 || to < 0 || frame === undefined) return rows;
  const text = `... ${to - from} lines: systemd stops what only the initrd needs ...`;
  const note: Row = { states: [{ frame, runs: [{ column: 9, text, colour: 8, isBold: false }] }] };
  return [...rows.slice(0, from), note, ...rows.slice(to)];
}

const lastRuns = (states: readonly RowState[]): readonly Run[] => states.at(-1)?.runs ?? [];

/** As it is read, with its blanks. */
function textOf(runs: readonly Run[]): string {
  return runs.reduce((line, { column, text }) => line.padEnd(column) + text, '');
}

/** How many rows there are from each frame on in which there is one more. */
function filled(rows: readonly Row[]): readonly { readonly frame: number; readonly rows: number }[] {
  const firsts = rows.flatMap(({ states }, index) => {
    const frame = states[0]?.frame;
    return frame === undefined ? [] : [{ frame, rows: index + 1 }];
  });
  const byFrame = Map.groupBy(firsts, ({ frame }) => frame);
  let most = 0;
  return [...byFrame]
    .sort(([a], [b]) => a - b)
    .map(([frame, all]) => {
      most = Math.max(most, ...all.map(({ rows }) => rows));
      return { frame, rows: most };
    });
}

/** How far everything is moved up when so many rows are filled, in pixels. */
const scroll = (rows: number) => Math.min(0, ROWS - rows) * CELL.height;

/** The last state is where it belongs; those before it stand beside the window, and are moved in. */
function drawRow({ states }: Row, index: number, width: number, animations: Animations): string {
  const drawn = states
    .map(({ runs }, state) => {
      const shift = state === states.length - 1 ? 0 : (state + 1) * width;
      return runs.map((run) => drawRun(run, shift, index)).join('');
    })
    .join('');
  if (states.length < 2) return drawn;
  const moves = states.map(({ frame }, state) => ({
    frame,
    offset: state === states.length - 1 ? 0 : -(state + 1) * width,
  }));
  return `<g${animations.move('x', moves)}>${drawn}</g>`;
}

function drawRun({ column, text, colour, isBold }: Run, shift: number, index: number): string {
  const names = [...(colour === undefined ? [] : [`c${colour}`]), ...(isBold ? ['b'] : [])];
  const look = names.length === 0 ? '' : ` class="${names.join(' ')}"`;
  const length = text.length === 1 ? '' : ` textLength="${text.length * CELL.width}"`;
  const x = column * CELL.width + shift;
  return `<text x="${x}" y="${index * CELL.height + 13}"${length}${look}>${escaped(text)}</text>`;
}

function coloursOf(rows: readonly Row[]): string {
  const used = new Set(
    rows.flatMap(({ states }) => states.flatMap(({ runs }) => runs.map(({ colour }) => colour))),
  );
  return PALETTE.flatMap((colour, index) => (used.has(index) ? [`.c${index}{fill:${colour}}`] : [])).join(
    '\n',
  );
}

/** Text of XML 1.0, which has no control characters. */
function escaped(text: string): string {
  return text
    .replaceAll(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** Where something is from a frame on, in pixels. */
interface Move {
  readonly frame: number;
  readonly offset: number;
}

/** What moves, and when: all of it in steps, and again and again. */
class Animations {
  readonly #keyframes: string[] = [];

  /** @param frames of the whole picture */
  constructor(readonly frames: number) {}

  /** Returns the attribute that makes an element move. */
  move(axis: 'x' | 'y', moves: readonly Move[]): string {
    const name = `m${this.#keyframes.length}`;
    const to = axis === 'x' ? 'X' : 'Y';
    const [first, ...rest] = moves;
    if (first === undefined) return '';
    // The first one begins with the picture: nobody sees it before its frame.
    const steps = [{ ...first, frame: axis === 'x' ? 0 : first.frame }, ...rest].map(
      ({ frame, offset }) =>
        `${Number(((frame / this.frames) * 100).toFixed(2))}%{transform:translate${to}(${offset}px)}`,
    );
    const start = axis === 'y' && first.frame > 0 ? `0%{transform:translate${to}(0)}` : '';
    const end = `to{transform:translate${to}(${moves.at(-1)?.offset ?? 0}px)}`;
    this.#keyframes.push(`@keyframes ${name}{${start}${steps.join('')}${end}}`);
    return ` class="m" style="animation-name:${name}"`;
  }

  style(): string {
    const seconds = this.frames / FRAMES;
    return `.m{animation:${seconds}s step-end infinite}\n${this.#keyframes.join('\n')}`;
  }
}
