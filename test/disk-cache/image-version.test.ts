import { describe, expect, test } from 'bun:test';
import { formatCachedName, parseCachedName } from '../../src/disk-cache/cached-name.ts';
import { imageVersion, nameWithoutVersion } from '../../src/disk-cache/image-version.ts';
import { compareVersions } from '../../src/request/version-order.ts';

const SHA256 = '0123456789abcdef'.repeat(4);
const file = (url: string, lastModified?: string) => ({
  url,
  type: 'raw' as const,
  lastModified: lastModified === undefined ? undefined : new Date(lastModified),
  sha256: SHA256,
});

describe('the version of an image', () => {
  test.each([
    ['http://h/os_42.raw.xz', '42'],
    ['http://h/my_os_1.2~rc1_x86-64.raw', '1.2~rc1'],
    ['http://h/os_42.raw.xz?token=7', '42'],
    ['http://h/my_os.raw', '20261129T101112'],
    ['http://h/os_v42.raw', '20261129T101112'],
  ])('of %s is %s', (url, version) => {
    expect(imageVersion(file(url, '2026-11-29T10:11:12Z'), [])).toBe(version);
  });

  test('without a name or a date that says one is the digest, and later ones are newer', () => {
    const first = imageVersion(file('http://h/os.raw'), []);
    expect(first).toBe('1.0123456789ab');
    const second = imageVersion({ ...file('http://h/os.raw'), sha256: `f${SHA256.slice(1)}` }, [first]);
    expect(compareVersions(second, first)).toBe(1);
  });

  test('is another one where other bytes have it already', () => {
    const again = imageVersion(file('http://h/os_42.raw'), ['42', '42-1']);
    expect(again).toBe('42-2');
    expect(compareVersions(again, '42-1')).toBe(1);
    expect(compareVersions('43', again)).toBe(1);
  });

  test('is no part of the name that all versions have', () => {
    expect(['os_42', 'my_os', 'os', 'a_1_x86-64', '_1'].map(nameWithoutVersion)).toEqual([
      'os',
      'my_os',
      'os',
      'a',
      '_1',
    ]);
  });
});

describe('the name of a cached image', () => {
  test.each([
    [{ version: '42', tries: { left: 3, done: 0 }, suffix: '.raw' }, 'os_42+3-0.raw'],
    [{ version: '1.2~rc1', tries: undefined, suffix: '.tar.zst' }, 'os_1.2~rc1.tar.zst'],
  ])('%j', (name, text) => {
    expect(formatCachedName('os', name)).toBe(text);
    expect(parseCachedName('os', text)).toEqual(name);
  });

  test.each([
    'os_42.files',
    '.#rdpull-image',
    'os.raw',
    'os_42+x.raw',
    'other_42.raw',
    'os_42.raw.part',
    'os_.raw',
  ])('is not %s', (text) => {
    expect(parseCachedName('os', text)).toBeUndefined();
  });
});
