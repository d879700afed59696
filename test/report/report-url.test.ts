import { expect, test } from 'bun:test';
import { reportUrl } from '../../src/report/report-url.ts';

const IMAGE = new URL('http://192.0.2.7:8081/images/root.raw');

test.each([
  ['/.rdpull/report', 'http://192.0.2.7:8081/.rdpull/report'],
  ['report?x=1#part', 'http://192.0.2.7:8081/report?x=1'],
  ['http://192.0.2.7:8081/r', 'http://192.0.2.7:8081/r'],
])('a place on the same server: %s', (value, url) => {
  expect(reportUrl(IMAGE, value)?.href).toBe(url);
});

test.each([
  undefined,
  'http://192.0.2.7/r',
  'https://192.0.2.7:8081/r',
  'http://192.0.2.8:8081/r',
  '//192.0.2.8/r',
  '\\\\192.0.2.8\\r',
  'http://user@192.0.2.7:8081/r',
  'file:///etc/passwd',
  'javascript:alert(1)',
  '/with space',
  '/\x1b[2J',
  `/${'x'.repeat(600)}`,
])('anything else is passed over: %j', (value) => {
  expect(reportUrl(IMAGE, value)).toBeUndefined();
});
