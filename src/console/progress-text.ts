import { duration, share, size } from './quantity.ts';

/** What is transferred. */
export interface ProgressSubject {
  readonly name: string;
  /** The server it comes from: host, and port where it is not the usual one; undefined for a file. */
  readonly source: string | undefined;
  /** Bytes in all, where that is known. */
  readonly total: number | undefined;
  /** Bytes after decompression, where that is known, or the least of it. */
  readonly expected: number | undefined;
}

/** A moment of a transfer. */
export interface ProgressState extends ProgressSubject {
  /** Bytes that have arrived. */
  readonly received: number;
  /** Bytes that have come out of decompression. */
  readonly decoded: number;
  /** Bytes that arrive a second. */
  readonly rate: number;
  /** Bytes of the image that somebody has read before all of it was there; only of an image that can be. */
  readonly onDemand?: number | undefined;
}

/** How a bar is drawn: with the block elements of Unicode, which the Linux console has as well, or in ASCII. */
export type BarStyle = 'blocks' | 'ascii';

type Part = 'program' | 'name' | 'percent' | 'amount' | 'written' | 'rate' | 'left' | 'onDemand' | 'source';

/** What is left out first where there is no room for everything. */
const DROPPED_ON_SCREEN: readonly Part[] = [
  'written',
  'program',
  'source',
  'amount',
  'onDemand',
  'rate',
  'left',
];
/** Above a bar stands what is pulled, and from where. */
const DROPPED_BEHIND_BAR: readonly Part[] = [
  'source',
  'name',
  'written',
  'amount',
  'onDemand',
  'rate',
  'left',
];

/** Bars are between these columns wide. */
const WIDEST_BAR = 40;
const NARROWEST_BAR = 8;

/** Decoded; received, but not yet decoded; still to come. */
const STYLES: Readonly<Record<BarStyle, readonly [string, string, string, string, string]>> = {
  blocks: ['', '█', '▒', '░', ' '],
  ascii: ['[', '#', '=', '-', '] '],
};

/** `image.raw: 37 %, 58.2 of 158 MiB, 210 of 512 MiB written, 11.2 MiB/s, 9.0 s left, 10.0.0.1:8081` */
export function progressLine(state: ProgressState): string {
  return compose(partsOf(state, ''));
}

/** In a line that is cut in the middle, what matters most stands at its end. */
const ORDER_IN_STATUS: readonly Part[] = ['name', 'source', 'onDemand', 'amount', 'rate', 'percent', 'left'];

/**
 * {@link progressLine} for systemd, which has the unit's name before it and cuts out of the middle what a console has no room
 * for: `image.raw: 10.0.0.1:8081, 58.2 of 158 MiB, 11.2 MiB/s, 37 %, 9.0 s left`
 */
export function statusLine(state: ProgressState): string {
  const parts = partsOf(state, '');
  return compose(ORDER_IN_STATUS.flatMap((wanted) => parts.filter(([part]) => part === wanted)));
}

/**
 * {@link progressLine} for a console that many write to, with `rdpull: ` before it where there is room.
 *
 * @param columns at most so many: what matters least is left out
 */
export function screenLine(state: ProgressState, columns: number): string {
  return fitted(partsOf(state, 'rdpull'), columns, DROPPED_ON_SCREEN);
}

/** {@link progressLine} behind a bar that takes the room there is; in at most `columns` columns, without a bar if need be. */
export function progressBar(state: ProgressState, columns: number, style: BarStyle): string {
  const parts = partsOf(state, '');
  const [begin, decoded, received, missing, end] = STYLES[style];
  const frame = begin.length + end.length;
  const total = state.total ?? guessedTotal(state);
  if (total === undefined || columns < NARROWEST_BAR + frame + WIDTH_OF_PERCENT) {
    return fitted(parts, columns, DROPPED_BEHIND_BAR);
  }
  const text = fitted(parts, columns - frame - NARROWEST_BAR, DROPPED_BEHIND_BAR);
  const width = Math.min(WIDEST_BAR, columns - frame - Bun.stringWidth(text));
  const filled = Math.floor((width * percent(state.received, total)) / 100);
  // Where nobody knows how much it will be, what has arrived counts.
  const solid =
    state.expected === undefined
      ? filled
      : Math.min(filled, Math.floor((width * percent(state.decoded, state.expected)) / 100));
  const bar = decoded.repeat(solid) + received.repeat(filled - solid) + missing.repeat(width - filled);
  return `${begin}${bar}${end}${text}`;
}

/** Whole percent, never more than 100. */
export function percent(received: number, total: number): number {
  return total === 0 ? 100 : Math.min(100, Math.floor((received * 100) / total));
}

const WIDTH_OF_PERCENT = '100 %'.length;

/** Where nobody says how much comes, as of chunks, what is done with it tells: the rest is probably packed like what is here. */
function guessedTotal({
  received,
  decoded,
  expected,
}: Pick<ProgressState, 'received' | 'decoded' | 'expected'>): number | undefined {
  return expected === undefined || decoded === 0 || decoded > expected
    ? undefined
    : (received * expected) / decoded;
}

type Parts = readonly (readonly [Part, string])[];

function partsOf(
  { name, source, received, total, decoded, expected, rate, onDemand }: ProgressState,
  program: string,
): Parts {
  const parts: [Part, string][] = [
    ['program', program],
    ['name', name],
  ];
  const whole = total ?? guessedTotal({ received, decoded, expected });
  if (whole !== undefined) parts.push(['percent', `${percent(received, whole)} %`]);
  parts.push(['amount', total === undefined ? size(received) : share(received, total)]);
  // What is not compressed is written as it comes.
  if (expected === undefined || decoded > expected) {
    parts.push(['written', decoded === 0 ? '' : `${size(decoded)} written`]);
  } else if (expected !== total) parts.push(['written', `${share(decoded, expected)} written`]);
  parts.push(['rate', `${size(rate)}/s`]);
  if (whole !== undefined && rate > 0)
    parts.push(['left', `${duration(((whole - received) * 1000) / rate)} left`]);
  if (onDemand !== undefined) parts.push(['onDemand', `${size(onDemand)} read on demand`]);
  parts.push(['source', source ?? '']);
  return parts.filter(([, text]) => text !== '');
}

function compose(parts: Parts): string {
  const isTitle = (part: Part) => part === 'program' || part === 'name';
  const titles = parts.filter(([part]) => isTitle(part)).map(([, text]) => `${text}: `);
  const figures = parts.filter(([part]) => !isTitle(part)).map(([, text]) => text);
  return titles.join('') + figures.join(', ');
}

/** What fits, with as few parts left out as possible; in the end it is cut. */
function fitted(parts: Parts, columns: number, dropped: readonly Part[]): string {
  let left = parts;
  for (const drop of dropped) {
    if (Bun.stringWidth(compose(left)) <= columns) break;
    left = left.filter(([part]) => part !== drop);
  }
  return cut(compose(left), columns);
}

/** The first characters of `text` that take no more than `columns`: one may take two, and an accent none. */
export function cut(text: string, columns: number): string {
  if (Bun.stringWidth(text) <= columns) return text;
  let shown = '';
  for (const character of text) {
    if (Bun.stringWidth(shown + character) > columns) break;
    shown += character;
  }
  return shown;
}
