import { expect, test } from 'bun:test';
import {
  commandWithPlaceholders,
  discreet,
  placeholdersToFill,
  shownUrl,
  withoutPasswords,
} from '../../src/console/shown-url.ts';

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
  [
    'https://host/x?AWSAccessKeyId=a&Expires=1&Signature=secret',
    'https://host/x?AWSAccessKeyId=a&Expires=1&Signature=…',
  ],
  ['https://host/x?private_token=secret&accessToken=secret', 'https://host/x?private_token=…&accessToken=…'],
  ['https://host/x?X%2DAmz%2DSignature=secret', 'https://host/x?X%2DAmz%2DSignature=…'],
  // Behind a harmless one, or in a URL that is one.
  ['https://host/x?v=2;token=secret', 'https://host/x?v=2;token=…'],
  ['https://host/x?p=a;a=b;access_token=secret: 404', 'https://host/x?p=a;a=b;access_token=…: 404'],
  ['https://host/x?to=https://cdn/y?sig=secret&n=1', 'https://host/x?to=https://cdn/y?sig=…&n=1'],
  ['https://host/x#access_token=secret', 'https://host/x#access_token=…'],
  // Nobody can be sure where a login ends that has in it what ends the host of a URL.
  ['http://user:sec/ret@host/x', 'http://…@host/x'],
  ['http://user:sec?ret@host/x', 'http://…@host/x'],
  ['http://user:sec#ret@host/x', 'http://…@host/x'],
  ['http://user:12#ret@host/x', 'http://…@host/x'],
  ['http://user:12/ret@example.com/x', 'http://…@example.com/x'],
  ['http://user:sec@r/e?t@host/x', 'http://…@host/x'],
  ['http://user:se cr/e t@host/x', 'http://…@host/x'],
  ['http://user:sec/ret@host', 'http://…@host'],
  // However long it is before and behind that.
  [`http://user:${'s'.repeat(2000)}/ret@host/x`, 'http://…@host/x'],
  [`http://user:sec/${'r'.repeat(2000)}@host.example/x: 404`, 'http://…@host.example/x: 404'],
  [`http://user:${'s/'.repeat(2000)}ret@host/x`, 'http://…@host/x'],
  ['http://user:sec/ret@host/x@1.raw', 'http://…@host/x@1.raw'],
  ['raw,machine:root:http://user:sec/ret@host/x', 'raw,machine:root:http://…@host/x'],
  // An @ in a path is none of that.
  ['http://builder:8081/pkg@1/x.raw', 'http://builder:8081/pkg@1/x.raw'],
  ['http://10.0.0.1:8081/pkg@example.com/x.raw', 'http://10.0.0.1:8081/pkg@example.com/x.raw'],
  ['https://example.com/pkg@1/x@2.raw', 'https://example.com/pkg@1/x@2.raw'],
  ['https://user:secret@example.com/x?to=a@b.c', 'https://example.com/x?to=a@b.c'],
  ['file:///srv@1/x@2.raw', 'file:///srv@1/x@2.raw'],
  ['raw,machine:root:file:///x@2.raw', 'raw,machine:root:file:///x@2.raw'],
  // Advice holds no secret.
  ['http://USER:PASSWORD@HOST:PORT', 'http://USER:PASSWORD@HOST:PORT'],
])('%s is shown as %s', (url, shown) => {
  expect(shownUrl(url)).toBe(shown);
});

test('a password is not repeated in parts either', () => {
  const text = 'raw,mirror=https://user:one,two@host/x:http://h/x';
  expect(withoutPasswords('the local name "one,two@host" and "two"', text)).toBe(
    'the local name "…,…@host" and "…"',
  );
});

test('a command has placeholders, which stay what they are', () => {
  const words = commandWithPlaceholders([
    'pull',
    '--proxy=u:secret@h:3128',
    '--proxy',
    'u:secret@h:3128',
    'u:x@h',
    'raw,mirror=https\\://u\\:secret@one/x:root:https://h/x?sig=secret',
  ]);
  expect(words).toEqual([
    'pull',
    // It needs no scheme to be a URL.
    '--proxy=LOGIN@h:3128',
    '--proxy',
    'LOGIN@h:3128',
    'u:x@h',
    'raw,mirror=https\\://LOGIN@one/x:root:https://h/x?sig=SECRET',
  ]);
  expect(commandWithPlaceholders(words)).toEqual(words);
  expect(placeholdersToFill(words)).toEqual(['LOGIN', 'SECRET']);
  expect(placeholdersToFill(['pull', 'http://h/x'])).toEqual([]);
  expect(discreet(`retry: ${words.join(' ')}`)).toBe(`retry: ${words.join(' ')}`);
});

test('of a message, each word is looked at', () => {
  expect(discreet('http://u:secret@h/x: refused,  see (https://h/y?sig=secret&a=1) of Jo <jo@h.org>')).toBe(
    'http://h/x: refused,  see (https://h/y?sig=…&a=1) of Jo <jo@h.org>',
  );
});

test('a long text takes no noticeable time', () => {
  const begun = performance.now();
  for (const text of ['https:', 'https://', ':/', '@:/', '://a:1/@', 'http://a:1/@@@@', '?a=', '&sig', '@']) {
    shownUrl(text.repeat(10_000));
    shownUrl(`${text.repeat(10_000)}/@`);
    discreet(text.repeat(10_000));
    withoutPasswords('x', text.repeat(10_000));
  }
  expect(performance.now() - begun).toBeLessThan(5000);
});

test('advice about a file with a secret keeps its words, at the end of a clause as well', () => {
  const advice = 'pass --login=FILE or --bearer=FILE, or --passphrase=FILE.';
  expect(discreet(advice)).toBe(advice);
  expect(discreet('no file --bearer=eyJhbGciOi, give one')).toBe('no file --bearer=…, give one');
});
