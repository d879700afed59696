import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { shownUrl } from '../../src/console/shown-url.ts';
import { imageUrls } from '../../src/origin/image-url.ts';
import { deriveImageName, imageNameDefect } from '../../src/request/image-name.ts';
import { expandPlaceholders, PLACEHOLDERS } from '../../src/request/placeholder.ts';
import { isHttpUrl, isUrlText, lastComponent, replaceComponents, urlDefect } from '../../src/request/url.ts';
import { splitLogin } from '../../src/source/login.ts';
import { always, mutatedText, requirePrintable, unlessRefused } from '../fixtures/property.ts';

const URLS = [
  'http://10.0.0.1:8081/image.efi',
  'https://example.com/a/b/image.raw.xz?query=1#fragment',
  'https://[2001:db8::1]:8443//deep///image.efi/',
  'file:///srv/images/image.tar.zst',
  'http://user:S3cr3t@example.com/x%20y.raw',
];
const WORDS = [
  '/',
  '//',
  '?',
  '#',
  '@',
  ':',
  '\\',
  '%2F',
  '%00',
  '..',
  '.raw',
  '.xz',
  'http://',
  'file:/',
  '[',
  ']',
];
const url = mutatedText(URLS, WORDS);
const plainName = fc.string({ unit: fc.constantFrom(...'abcXYZ019._-%20'), minLength: 1, maxLength: 12 });

test('what takes the place of the last component is the last component, on the same server', () => {
  always(fc.tuple(url, fc.nat(3), plainName), ([text, drop, name]) => {
    if (urlDefect(text) !== undefined) return;
    const replaced = unlessRefused(() => replaceComponents(text, drop, name));
    if (replaced === undefined) return;
    expect(lastComponent(replaced)).toBe(name);
    // To systemd a backslash is a character like others, to the URL Standard a slash.
    if (text.includes('\\') || !URL.canParse(text) || !URL.canParse(replaced)) return;
    const [before, after] = [new URL(text), new URL(replaced)];
    expect([after.protocol, after.username, after.password, after.host]).toEqual([
      before.protocol,
      before.username,
      before.password,
      before.host,
    ]);
    expect([after.search, after.hash]).toEqual(['', '']);
  });
});

test('a name that is derived from a URL is a name that an image can have', () => {
  always(fc.tuple(url, fc.constantFrom('raw' as const, 'tar' as const)), ([text, type]) => {
    const name = unlessRefused(() => deriveImageName(text, type));
    if (name !== undefined) expect(imageNameDefect(name)).toBeUndefined();
  });
});

test('images beside any boot URL are on the server that was booted from', () => {
  const name = fc.oneof(fc.constant(undefined), plainName);
  always(fc.tuple(url, name, fc.constantFrom('raw' as const, 'tar' as const)), ([boot, file, type]) => {
    for (const image of unlessRefused(() => imageUrls(file, type, boot)) ?? []) {
      // What the firmware says is taken for a URL only if it is one; with a line feed in it, the parser sees another host.
      if (!isHttpUrl(boot) || boot.includes('\\') || !URL.canParse(boot) || !URL.canParse(image)) continue;
      expect(new URL(image).host).toBe(new URL(boot).host);
    }
  });
});

test('no value of a placeholder changes the URL around it', () => {
  const values = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
  always(fc.tuple(values, fc.constantFrom(...PLACEHOLDERS)), ([value, placeholder]) => {
    const expand = (text: string) => new URL(expandPlaceholders(text, new Map([[placeholder, value]])));
    const { host, pathname, search, hash } = expand(`http://host/a/x{${placeholder}}/b.raw`);
    expect([host, search, hash]).toEqual(['host', '', '']);
    expect(pathname.split('/')).toHaveLength(4);
    expect(pathname.split('/').at(-1)).toBe('b.raw');
  });
});

test('what is shown of a URL can be printed, and never holds a password', () => {
  const secret = 'S3cr3tS3cr3t';
  const begin = fc.constantFrom(
    'http://',
    'https://',
    'http:///',
    'https:/\\',
    'http:\\\\',
    'HTTP://',
    'http:/',
  );
  const parts = fc.tuple(begin, mutatedText(['user', 'a@b', ''], ['@', ':', '%40', '\\'], 2), url);
  always(parts, ([scheme, user, rest]) => {
    const text = `${scheme}${user}:${secret}@${rest.replace(/^[a-z]+:\/+/, '')}`;
    const shown = shownUrl(text);
    requirePrintable(shown);
    if (isUrlText(text) && URL.canParse(text) && new URL(text).password.includes(secret))
      expect(shown).not.toContain(secret);
  });
});

test('a login that the URL parser sees is taken out of the URL, and goes to that server', () => {
  always(mutatedText(URLS, WORDS, 4), (text) => {
    if (urlDefect(text) !== undefined || !URL.canParse(text)) return;
    const { url: bare, login } = splitLogin(text);
    if (!URL.canParse(bare)) throw new Error(`no URL: ${bare}`);
    const { username, password, host } = new URL(text);
    expect([new URL(bare).username, new URL(bare).password, new URL(bare).host]).toEqual(['', '', host]);
    if (username !== '' || password !== '') expect(login?.origin).toBe(new URL(text).origin);
  });
});
