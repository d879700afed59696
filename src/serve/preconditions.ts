import type { IncomingHttpHeaders } from 'node:http';
import { listsTag } from './entity-tag.ts';

/** What the answer to a conditional request depends on. */
export interface Validators {
  readonly tag: string;
  /** In ms since 1970; undefined for what has no date. */
  readonly modified: number | undefined;
}

/**
 * Judges the conditions of a GET or HEAD request, in the order of RFC 9110, section 13.2.2. If-Range is apart:
 * {@link rangeHolds}.
 */
export function precondition(
  headers: IncomingHttpHeaders,
  { tag, modified }: Validators,
): 'holds' | 'not modified' | 'failed' {
  const match = headers['if-match'];
  if (match !== undefined) {
    if (!listsTag(match, tag, 'strong')) return 'failed';
  } else if (isLater(modified, headers['if-unmodified-since']) === true) {
    return 'failed';
  }
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined) return listsTag(noneMatch, tag, 'weak') ? 'not modified' : 'holds';
  return isLater(modified, headers['if-modified-since']) === false ? 'not modified' : 'holds';
}

/**
 * Whether the Range of a request counts: If-Range is absent, or names what is served now. A date never does: it may be
 * that of two contents (RFC 9110, section 13.1.5, wants a strong validator).
 */
export function rangeHolds(headers: IncomingHttpHeaders, tag: string): boolean {
  const condition = headers['if-range'];
  return condition === undefined || condition === tag;
}

/** Whether `modified` is after the date of a header, in whole seconds as it is written; undefined when one is missing. */
function isLater(modified: number | undefined, header: string | undefined): boolean | undefined {
  const date = Date.parse(header ?? '');
  if (modified === undefined || Number.isNaN(date)) return undefined;
  return Math.floor(modified / 1000) * 1000 > date;
}
