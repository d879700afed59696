import { expect, test } from 'bun:test';
import { commandWithoutLogins, shownUrl, withoutPasswords } from '../../src/console/shown-url.ts';

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
  // A redirect of an object store is a credential.
  [
    'https://host/x?X-Amz-Date=1&X-Amz-Credential=a%2Fb&X-Amz-Signature=secret#f',
    'https://host/x?X-Amz-Date=1&X-Amz-Credential=…&X-Amz-Signature=…#f',
  ],
  ['https://host/x?sv=1&sig=secret: refused', 'https://host/x?sv=1&sig=…: refused'],
  ['https://host/x?build=7&design=a', 'https://host/x?build=7&design=a'],
])('%s is shown as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});

test('a password is not repeated in parts either', () => {
  const text = 'raw,mirror=https://user:one,two@host/x:http://h/x';
  expect(withoutPasswords('the local name "one,two@host" and "two"', text)).toBe(
    'the local name "…,…@host" and "…"',
  );
});

test('the login of a proxy needs no scheme to be one', () => {
  expect(
    commandWithoutLogins(['pull', '--proxy=u:secret@h:3128', '--proxy', 'u:secret@h:3128', 'u:x@h']),
  ).toEqual(['pull', '--proxy=h:3128', '--proxy', 'h:3128', 'u:x@h']);
});

test('a long text takes no noticeable time', () => {
  shownUrl('https:'.repeat(200_000));
  withoutPasswords('x', `${'https:'.repeat(200_000)}/@`);
});
