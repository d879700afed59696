import { closest, distance } from 'fastest-levenshtein';

/** Words longer than this are no misspelling of ours, and not worth the comparison. */
const LONGEST_WORD = 32;

/** The one of `valid` that `text` was probably meant to be, or undefined when none comes close. */
export function nearest(text: string, valid: readonly string[]): string | undefined {
  const word = text.toLowerCase();
  if (word === '' || word.length > LONGEST_WORD) return undefined;

  const [completion, ...others] = valid.filter((candidate) => candidate.startsWith(word));
  if (completion !== undefined && others.length === 0) return completion;

  const best = closest(word, valid);
  return distance(word, best) <= Math.min(2, best.length - 1) ? best : undefined;
}
