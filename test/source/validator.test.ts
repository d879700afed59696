import { expect, test } from 'bun:test';
import { opaqueTag, strongEntityTag, strongValidator } from '../../src/source/validator.ts';

const CHANGED = 'Sun, 06 Nov 1994 08:49:37 GMT';
const headers = (values: Readonly<Record<string, string>>) => (name: string) => values[name];

test.each(['"a"', '""', '"656ac1b3-7d000"', '"a,b!"'])('%s is a strong entity tag', (tag) => {
  expect(strongEntityTag(tag)).toBe(tag);
  expect(strongValidator(headers({ etag: tag, 'last-modified': CHANGED }))).toBe(tag);
});

test.each(['W/"a"', 'w/"a"', 'a', '"a', '"a"b"', '"a b"', '"a\r\nx"', ''])(
  '%j is none, and no date is taken in its place',
  (tag) => {
    const date = 'Sun, 06 Nov 1994 09:49:37 GMT';
    expect(strongEntityTag(tag)).toBeUndefined();
    expect(strongValidator(headers({ etag: tag, 'last-modified': CHANGED, date }))).toBeUndefined();
  },
);

test.each([
  ['"a"', '"a"'],
  [' W/"a" ', '"a"'],
  ['w/"a"', undefined],
  ['W/a', undefined],
  ['W/ "a"', undefined],
  [undefined, undefined],
])('of %p, weak or strong, %p has to be the same', (header, tag) => {
  expect(opaqueTag(header)).toBe(tag);
});

test.each([
  ['Sun, 06 Nov 1994 08:50:37 GMT', CHANGED],
  ['Sun, 06 Nov 1994 08:50:36 GMT', undefined],
  ['Sun, 06 Nov 1994 08:49:36 GMT', undefined],
  ['once', undefined],
  ['', undefined],
])('a date is a validator a minute later: at %p, %p', (date, validator) => {
  expect(strongValidator(headers({ 'last-modified': CHANGED, date }))).toBe(validator);
});

test('nothing said, nothing known', () => {
  expect(strongValidator(headers({}))).toBeUndefined();
  expect(strongValidator(headers({ 'last-modified': CHANGED }))).toBeUndefined();
});
