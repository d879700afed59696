import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { foreignCodings, requireUncoded } from '../../src/source/content-coding.ts';
import { parseContentRange } from '../../src/source/content-range.ts';
import { retryAfter } from '../../src/source/retry-after.ts';
import { strongEntityTag, strongValidator } from '../../src/source/validator.ts';
import { always, mutatedText, unlessRefused } from '../fixtures/property.ts';

const length = fc.nat({ max: 10 ** 15 - 1 });

test('a Content-Range comes back', () => {
  always(fc.tuple(length, length, fc.option(length)), ([one, other, more]) => {
    const [from, to] = [Math.min(one, other), Math.max(one, other)];
    const size = more === null ? undefined : Math.min(to + 1 + more, 10 ** 15 - 1);
    if (size !== undefined && to >= size) return;
    expect(parseContentRange(`bytes ${from}-${to}/${size ?? '*'}`)).toEqual({ range: { from, to }, size });
    expect(parseContentRange(`bytes */${size ?? '*'}`)).toEqual({ range: undefined, size });
  });
});

test('any Content-Range is one that makes sense, or none', () => {
  const samples = ['bytes 0-499/1234', 'bytes 42-1233/*', 'bytes */1234', 'BYTES  1-2/3'];
  always(
    mutatedText(samples, ['bytes', '-', '/', '*', '0', '9'.repeat(20), ' ', 'e9', '0x1', '.5']),
    (header) => {
      const found = parseContentRange(header);
      for (const number of [found?.size, found?.range?.from, found?.range?.to]) {
        if (number !== undefined) expect(Number.isSafeInteger(number) && number >= 0).toBe(true);
      }
      if (found?.range !== undefined) expect(found.range.from).toBeLessThanOrEqual(found.range.to);
      if (found?.range !== undefined && found.size !== undefined)
        expect(found.range.to).toBeLessThan(found.size);
    },
  );
});

const DATES = [
  'Tue, 24 Nov 2026 12:00:00 GMT',
  'Tuesday, 24-Nov-26 12:00:00 GMT',
  'Tue Nov 24 12:00:00 2026',
];

test('any Retry-After is a time that is not over, or none', () => {
  const words = ['GMT', '120', '-1', '.5', '1e9', 'Infinity', '99999', ','];
  const header = mutatedText(['120', '0', ...DATES], words);
  always(fc.tuple(header, mutatedText(DATES, words)), ([after, date]) => {
    const ms = retryAfter((name) => ({ 'retry-after': after, date })[name]);
    if (ms !== undefined) expect(Number.isFinite(ms) && ms >= 0).toBe(true);
  });
});

test('what If-Range would carry is what the server said, and can stand in a header', () => {
  const tag = mutatedText(['"abc-1"', 'W/"abc"', '""', '"a" "b"'], ['"', 'W/', '\\', ',', '\t', '\x7f']);
  const words = ['GMT', '00:00:59', '1970', ' '];
  always(
    fc.tuple(fc.option(tag), mutatedText(DATES, words), mutatedText(DATES, words)),
    ([etag, date, modified]) => {
      if (etag !== null) expect(strongEntityTag(etag) ?? '""').toMatch(/^"[^"\x00-\x20\x7f]*"$/);
      const values = { date, 'last-modified': modified, ...(etag !== null && { etag }) };
      const validator = strongValidator((name) => new Map(Object.entries(values)).get(name));
      if (validator === undefined) return;
      expect([etag?.trim(), modified]).toContain(validator);
      if (etag !== null) expect(validator).toBe(etag.trim());
    },
  );
});

test('any content coding is none, or that of the file, or refused where the body is in it', () => {
  const coding = mutatedText(['gzip', 'identity', 'br', 'x-gzip', 'deflate, gzip'], [',', ' ', 'zstd', 'xz']);
  const name = mutatedText(['/x.raw.gz', '/x.raw', '/x.tar.zst'], ['.gz', '.xz', '%0a', '/']);
  always(fc.tuple(coding, name), ([header, pathname]) => {
    const url = new URL('http://host/');
    url.pathname = pathname;
    const codings = foreignCodings(header, [url.pathname]);
    const words = header
      .toLowerCase()
      .split(',')
      .map((word) => word.trim());
    expect(words).toEqual(expect.arrayContaining([...codings]));
    if (!/(?:gzip|br|deflate|zstd|xz)/i.test(header)) expect(codings).toEqual([]);
    if (codings.length === 0) return;
    const refuses = (start: Uint8Array) =>
      unlessRefused(() => requireUncoded('http://host/x', codings, start) ?? true) === undefined;
    const told = /gzip|zstd|xz/.test(codings.at(-1) ?? '');
    expect(refuses(Buffer.from('hsqs'))).toBe(!told);
  });
});
