/** A part of a content, in bytes: from `start` up to, and without, `end`. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/**
 * What a Range header (RFC 9110, section 14.2) asks for of `size` bytes. undefined: the whole, because there is no such
 * header, or one that is malformed, of another unit, or asks for several parts at once, all of which a server may pass over.
 */
export function requestedPart(header: string | undefined, size: number): Part | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
