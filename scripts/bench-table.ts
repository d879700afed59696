import type { Comparison, Row } from './bench-comparison.ts';

const HEADINGS = [
  '',
  'wall',
  '(min - max)',
  'CPU',
  'RSS',
  'RSS of all',
  'wall',
  'CPU',
  'RSS',
  'target',
  'verified by',
];

/** The comparisons as a plain text table. The ratios are rdpull's figure divided by the peer's: below 1, rdpull wins. */
export function table(comparisons: readonly Comparison[]): string {
  const groups = comparisons.map(({ title, rows }) => ({ title, cells: rows.map(rowCells) }));
  const all = [HEADINGS, ...groups.flatMap(({ cells }) => cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...all.map((cells) => (cells[column] ?? '').length)));
  const line = (cells: readonly string[]) =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? '';
        // Names and remarks to the left, figures to the right.
        return column === 0 || column === widths.length - 1 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  const ratioColumn = widths.slice(0, 6).reduce((sum, width) => sum + width + 2, 0);
  return [
    `${' '.repeat(ratioColumn)}rdpull / this`,
    line(HEADINGS),
    ...groups.flatMap(({ title, cells }) => ['', title, ...cells.map(line)]),
  ].join('\n');
}

function rowCells(row: Row): string[] {
  const name = `  ${row.peer}`;
  if ('unable' in row) return [name, '-', '', '-', '-', '-', '-', '-', '-', '', row.unable];
  const { median, rdpullRatio, runs, target } = row;
  const walls = runs.map(({ wall }) => wall);
  return [
    name,
    seconds(median.wall),
    `(${seconds(Math.min(...walls))} - ${seconds(Math.max(...walls))})`,
    seconds(median.cpu),
    quantity(median.rss * 1024),
    quantity(median.rssOfAll * 1024),
    ...[rdpullRatio.wall, rdpullRatio.cpu, rdpullRatio.rss].map((ratio) =>
      Number.isNaN(ratio) ? '' : ratio.toFixed(2),
    ),
    target === undefined ? '' : `${met(row) ? 'met' : 'MISSED'}, <= ${target.toFixed(2)}`,
    row.verified,
  ];
}

function met(row: Row): boolean {
  return 'unable' in row || row.target === undefined || row.rdpullRatio.wall <= row.target;
}

/** How many targets there are, and which of them are missed. */
export function verdict(comparisons: readonly Comparison[]): string {
  const aimed = comparisons.flatMap(({ title, rows }) =>
    rows.flatMap((row) =>
      'unable' in row || row.target === undefined ? [] : [{ title, row, target: row.target }],
    ),
  );
  const missed = aimed.filter(({ row }) => !met(row));
  return [
    `Targets met: ${aimed.length - missed.length} of ${aimed.length}.`,
    ...missed.map(
      ({ title, row, target }) =>
        `Missed: ${title}, ${row.peer}: ${row.rdpullRatio.wall.toFixed(2)}, to be at most ${target.toFixed(2)}.`,
    ),
  ].join('\n');
}

/** `milliseconds` with three digits or so. */
/** What was not measured is no number. */
function seconds(milliseconds: number): string {
  if (Number.isNaN(milliseconds)) return '';
  return milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** `bytes` in the unit that fits. */
export function quantity(bytes: number): string {
  if (Number.isNaN(bytes)) return '';
  const mebibytes = bytes / 1024 / 1024;
  if (mebibytes < 0.1) return `${(bytes / 1024).toFixed(0)} KiB`;
  return `${mebibytes.toFixed(mebibytes < 10 ? 1 : 0)} MiB`;
}
