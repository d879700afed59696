import { expect, test } from 'bun:test';
import { shownUrl, withoutPasswords } from '../../src/console/shown-url.ts';

test.each([
  ['http://user:secret@host/x', 'http://host/x'],
  // The last @ before the path ends a login: URL Standard, section 4.4.
  ['https://user:sec@ret@host/x@1.raw', 'https://host/x@1.raw'],
  // Any number of slashes, and backslashes, may stand before it.
  ['http:///user:secret@host/', 'http:///host/'],
  ['https:\\\\user:secret@host/', 'https:\\\\host/'],
  ['https:user:secret@host/', 'https:host/'],
  ['HTTP://user:secret@host/', 'HTTP://host/'],
  // What is no URL, or not only one.
  ['htps://user:secret@host/', 'htps://host/'],
  ['//user:secret@host/', '//host/'],
  [
    'raw,mirror=https\\://u\\:secret@one/x:root:http://u:secret@two/x',
    'raw,mirror=https\\://one/x:root:http://two/x',
  ],
])('%s is shown as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});

test('a password is not repeated in parts either', () => {
  const text = 'raw,mirror=https://user:one,two@host/x:http://h/x';
  expect(withoutPasswords('the local name "one,two@host" and "two"', text)).toBe(
    'the local name "…,…@host" and "…"',
  );
});

test('a long text takes no noticeable time', () => {
  shownUrl('https:'.repeat(200_000));
  withoutPasswords('x', `${'https:'.repeat(200_000)}/@`);
});
