import { printable } from './printable.ts';

/** `url` as it may appear on a screen or in a log: without a login, and without control characters. */
export function shownUrl(url: string): string {
  return printable(url.replace(/^(https?:\/\/)[^/?#@]*@/, '$1'));
}
