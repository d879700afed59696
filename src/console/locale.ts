import type { BarStyle } from './progress-text.ts';

/**
 * What a terminal can draw bars with. The variables decide in this order, an empty one counts as unset (POSIX.1-2024,
 * chapter 8.2).
 */
export function barStyle({ LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): BarStyle {
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '') ? 'blocks' : 'ascii';
}
