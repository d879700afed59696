import { expect, test } from 'bun:test';
import { pathOfFileUrl } from '../../src/source/file.ts';
import { refusal } from '../request/refusal.ts';

test.each([
  ['file:/a.raw', '/a.raw'],
  ['file:///a%20b%25.raw', '/a b%.raw'],
  ['file:///%c3%a4.raw', '/ä.raw'],
])('%s is %s', (url, path) => {
  expect(pathOfFileUrl(url)).toBe(path);
});

test.each(['file:///a%ffb.raw', 'file:///%ed%a0%80', 'file:///a%00b', 'file:///a%2fb', 'file://host/a'])(
  '%p names no file of this machine',
  (url) => {
    const error = refusal(() => pathOfFileUrl(url));
    expect(error.code).toBe('bad-url');
    expect(error.message).toStartWith(`${url} does not name a file of this machine`);
  },
);
