import { parseBoolean } from './boolean.ts';
import type { ImageClass, ImageType } from './image-class.ts';
import { parseSize, shortestSize } from './size-text.ts';

/** That an image is read out of the file on the server, before all of it is there. */
export interface OnDemand {
  /** Whether to fail where that cannot be, instead of downloading the image whole. */
  readonly isRequired: boolean;
  /** Bytes a second, as served, that are fetched without anybody having asked for them: 0 for none, Infinity for no bound. */
  readonly fillRate: number;
}

/** The values that say something else than yes and no, for messages. */
export const ON_DEMAND_WORDS: readonly string[] = ['require'];

/** Less would not finish within the life of a machine. Bytes a second. */
const SLOWEST_FILL = 1024;

/** Whether the value of `on-demand=` asks for it; undefined when it is none. */
export function parseOnDemand(text: string): 'no' | 'yes' | 'required' | undefined {
  if (text === 'require') return 'required';
  const wanted = parseBoolean(text);
  return wanted === undefined ? undefined : wanted ? 'yes' : 'no';
}

/** The value of `fill=` in bytes a second; undefined when it is none. */
export function parseFill(text: string): number | undefined {
  const rate = parseSize(text);
  if (rate !== undefined && rate >= SLOWEST_FILL && Number.isSafeInteger(rate)) return rate;
  const wanted = /^\d+$/.test(text) ? undefined : parseBoolean(text);
  return wanted === undefined ? undefined : wanted ? Number.POSITIVE_INFINITY : 0;
}

/** What `fill=` may say, to follow "is not valid" or "is ignored". */
export const FILL_VALUES =
  'fill=no, fill=yes, or bytes a second from 1K on, with or without a suffix (K, M, G)';

/** Why such an image is not read on demand, as a clause; undefined when it can be. */
export function onDemandDefect(type: ImageType, imageClass: ImageClass): string | undefined {
  if (type !== 'raw') return 'a tarball is unpacked as a whole';
  // What merges them looks for the file, and that is there at the end.
  if (imageClass !== 'machine') return `it is for images of the class machine, and not ${imageClass}`;
  return undefined;
}

/** The words for the options of an expression, or behind `--`: `on-demand=require`, `fill=2M`. */
export function formatOnDemand({ isRequired, fillRate }: OnDemand): string[] {
  const words = [isRequired ? 'on-demand=require' : 'on-demand'];
  if (fillRate === 0) words.push('fill=no');
  else if (Number.isFinite(fillRate)) words.push(`fill=${shortestSize(fillRate)}`);
  return words;
}
