import type { ByteRange } from './source.ts';

/** What a `Content-Range` header says (RFC 9110, section 14.4). */
export interface ContentRange {
  /** undefined in the answer 416, where no part is sent. */
  readonly range: ByteRange | undefined;
  /** Length of the whole file in bytes; undefined when the server does not know it. */
  readonly size: number | undefined;
}

/** Reads `bytes FROM-TO/SIZE`; either half may be a `*`: nothing is sent, or the length is unknown. undefined: neither. */
export function parseContentRange(header: string | undefined): ContentRange | undefined {
  const match = /^bytes +(?:(\d{1,15})-(\d{1,15})|\*)\/(?:(\d{1,15})|\*)$/i.exec(header?.trim() ?? '');
  if (match === null) return undefined;
  const [from, to, size] = match.slice(1).map((text) => (text === undefined ? undefined : Number(text)));
  if (from === undefined || to === undefined) return { range: undefined, size };
  if (to < from || (size !== undefined && to >= size)) return undefined;
  return { range: { from, to }, size };
}
