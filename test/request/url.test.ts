import { describe, expect, test } from 'bun:test';
import { isFileUrl, isHttpUrl, lastComponent, replaceComponents, urlDefect } from '../../src/request/url.ts';
import { refusal, survives } from './refusal.ts';
import { SeededRandom } from './seeded-random.ts';

describe('a URL', () => {
  test.each(['http://x', 'https://h/a b', 'http://[fe80::1%25eth0]/x', 'http://u:p@h/x?y#z'])(
    '%s is for HTTP',
    (url) => {
      expect(isHttpUrl(url)).toBe(true);
      expect(isFileUrl(url)).toBe(false);
      expect(urlDefect(url)).toBeUndefined();
    },
  );

  test.each(['file:/foo/foo', 'file:///x', 'file://host/x'])('%s is for a file', (url) => {
    expect(isFileUrl(url)).toBe(true);
    expect(isHttpUrl(url)).toBe(false);
    expect(urlDefect(url)).toBeUndefined();
  });

  test.each<[string, string]>([
    ['http://', 'ends where the host or the path should follow'],
    ['https://', 'ends where the host or the path should follow'],
    ['file:/', 'ends where the host or the path should follow'],
    ['HTTP://x', 'does not start with http://, https:// or file:/'],
    ['ftp://x', 'does not start with http://, https:// or file:/'],
    ['foo:', 'does not start with http://, https:// or file:/'],
    ['', 'does not start with http://, https:// or file:/'],
    [' http://x', 'does not start with http://, https:// or file:/'],
    ['http://ä/', 'holds characters that a URL cannot'],
    ['http://h/\ufffd', 'holds characters that a URL cannot'],
    ['http://h/a\x1b[2J', 'holds characters that a URL cannot'],
    ['http://h/a\nb', 'holds characters that a URL cannot'],
    ['http://h/a\n', 'holds characters that a URL cannot'],
    ['http://h/\x7f', 'holds characters that a URL cannot'],
  ])('%j is refused: it %s', (url, defect) => {
    expect(isHttpUrl(url) || isFileUrl(url)).toBe(false);
    expect(urlDefect(url)).toBe(defect);
  });
});

test.each(['http://u:a/b@h/x', 'http://u:a?b@h/x', 'https://u:a#b@h/x'])(
  'a login that ends a URL before its host is refused, with what to write: %s',
  (url) => {
    expect(urlDefect(url)).toBe(
      'has a login with /, ? or # in it, which have to be written %2F, %3F and %23',
    );
  },
);

test.each([
  'http://h:8081/a@b/x',
  'http://u:p@h/a@b/x',
  'http://[fe80::1%25eth0]/a@b',
  'http://{serial}.h/a@b',
])('%s has none', (url) => expect(urlDefect(url)).toBeUndefined());

describe('the last component', () => {
  test.each<[string, string | undefined]>([
    ['https://foobar/waldo/quux', 'quux'],
    ['https://foobar/waldo/quux/', 'quux'],
    ['https://foobar/waldo/quux?foo=bar', 'quux'],
    ['https://foobar/waldo/quux/?foo=bar', 'quux'],
    ['https://foobar/waldo/quux/?foo=bar#piep', 'quux'],
    ['https://foobar/waldo/quux/#piep', 'quux'],
    ['https://foobar/waldo/quux#piep', 'quux'],
    ['https://foobar/waldo/quux?a/b', 'quux'],
    ['https://foobar/waldo/', 'waldo'],
    ['https://foobar/', undefined],
    ['https://foobar', undefined],
    ['https://foobar?x/y', undefined],
    ['x:y', undefined],
    ['x:y/z', 'z'],
    ['file:/foo', 'foo'],
    ['file:///foo', 'foo'],
    ['file:///var/tmp/foo', 'foo'],
    ['file://host/foo', 'foo'],
    ['file://host', undefined],
    ['file:///', undefined],
  ])('of %s is %p', (url, component) => {
    expect(lastComponent(url)).toBe(component);
  });

  test.each(['https://', '', ':', ':/', 'x:/'])('of %j cannot be told', (url) => {
    const error = refusal(() => lastComponent(url));
    expect(error.code).toBe('bad-url');
    expect(error.message).toBe(`"${url}" is not a URL: it names no host`);
    expect(error.hint).toBe('write the URL as http://HOST/FILE or https://HOST/FILE');
  });
});

describe('replacing components', () => {
  test.each<[string, number, string, string]>([
    ['https://foobar/waldo/quux', 1, 'wuff', 'https://foobar/waldo/wuff'],
    ['https://foobar/waldo/quux/', 1, 'wuff', 'https://foobar/waldo/wuff'],
    ['https://foobar/waldo/quux///?mief', 1, 'wuff', 'https://foobar/waldo/wuff'],
    ['https://foobar/waldo/quux///?mief#opopo', 1, 'wuff', 'https://foobar/waldo/wuff'],
    ['https://foobar/waldo/quux/quff', 2, 'wuff', 'https://foobar/waldo/wuff'],
    ['https://foobar/waldo/quux/quff/', 2, 'wuff', 'https://foobar/waldo/wuff'],
    ['https://foobar/waldo/quux/quff', 0, 'wuff', 'https://foobar/waldo/quux/quff/wuff'],
    ['https://foobar/waldo/quux/quff?aa?bb##4', 0, 'wuff', 'https://foobar/waldo/quux/quff/wuff'],
    ['x:y', 0, 'wuff', 'x:y/wuff'],
    ['x:y/z', 0, 'wuff', 'x:y/z/wuff'],
    ['x:y/z/', 0, 'wuff', 'x:y/z/wuff'],
    ['x:y/z/', 1, 'wuff', 'x:y/wuff'],
    ['x:y/z/', 2, 'wuff', 'x:y/wuff'],
    ['http://192.168.1.1:8081/uki.efi', 1, 'image.raw.xz', 'http://192.168.1.1:8081/image.raw.xz'],
    ['http://h/a/b/uki.efi?tok=1#f', 1, 'image.raw', 'http://h/a/b/image.raw'],
    ['http://h', 1, 'image.raw', 'http://h/image.raw'],
    ['http://h/', 1, 'image.raw', 'http://h/image.raw'],
    ['http://h//x///', 1, 'r', 'http://h/r'],
    ['http://u:p@h/x', 1, 'r', 'http://u:p@h/r'],
    ['http://[fe80::1%25eth0]/x/y.efi', 1, 'r', 'http://[fe80::1%25eth0]/x/r'],
    ['https://h/d/uki.efi', 1, 'sub/../r.raw', 'https://h/d/sub/../r.raw'],
    ['https://h/d/uki.efi', 1, '/abs.raw', 'https://h/d//abs.raw'],
    ['https://h/d/uki.efi\x7f\x04', 1, 'r', 'https://h/d/r'],
    ['file:///image.raw', 1, 'SHA256SUMS', 'file:///SHA256SUMS'],
    ['file:/image.raw', 1, 'SHA256SUMS', 'file:/SHA256SUMS'],
    ['file:///d/image.raw', 1, 'SHA256SUMS', 'file:///d/SHA256SUMS'],
  ])('%j without %i, plus %s, is %s', (url, drop, replacement, expected) => {
    expect(replaceComponents(url, drop, replacement)).toBe(expected);
  });

  test.each(['https://', '', ':', ':/', 'x:/'])('%j is refused', (url) => {
    expect(refusal(() => replaceComponents(url, 0, 'wuff')).code).toBe('bad-url');
  });

  test('a URL of four million slashes takes no noticeable time', () => {
    const slashes = '/'.repeat(4 * 1024 * 1024);
    expect(replaceComponents(`http://h/a${slashes}b${slashes}`, 1, 'r')).toBe('http://h/a/r');
  });

  test('survives 2000 random URLs; what it adds is the last component', () => {
    const random = new SeededRandom(2);
    for (let round = 0; round < 2000; round++) {
      const url = random.text(['http:', 'file:', '/', '//', 'h', '?', '#', ':', '\x1b', 'ä', '..'], 12);
      const drop = random.below(4);
      survives(() => lastComponent(url));
      survives(() => expect(lastComponent(replaceComponents(url, drop, 'new'))).toBe('new'));
    }
  });
});
