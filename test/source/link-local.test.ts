import { expect, test } from 'bun:test';
import { splitZone } from '../../src/source/link-local.ts';
import { splitLogin } from '../../src/source/login.ts';

const ADDRESS = 'http://[fe80::1]/x';

test.each<[string, string | undefined, string, string | undefined]>([
  ['http://[fe80::1%25eth0]/x', 'eth0', ADDRESS, undefined],
  ['http://[fe80::1%eth0]:8081/x', 'eth0', 'http://[fe80::1]:8081/x', undefined],
  ['http://u:p@[fe80::1%25eth0]/x', 'eth0', ADDRESS, 'u:p'],
  ['http://u:p@ss@[fe80::1%25eth0]/x', 'eth0', ADDRESS, 'u:p@ss'],
  ['http:///u:p@[fe80::1%25eth0]/x', 'eth0', 'http:///[fe80::1]/x', 'u:p'],
  ['http://[2001:db8::1]/x', undefined, 'http://[2001:db8::1]/x', undefined],
  // What stands in a login or in a path is no host.
  ['http://u:[fe80::1%25eth0]@h/x', undefined, 'http://h/x', 'u:[fe80::1%eth0]'],
  ['http://h/@[fe80::1%25eth0]/x', undefined, 'http://h/@[fe80::1%25eth0]/x', undefined],
  ['http://h\\@[fe80::1%25eth0]/x', undefined, 'http://h\\@[fe80::1%25eth0]/x', undefined],
])('%s: the zone is %s', (text, zone, url, login) => {
  const zoned = splitZone(text);
  expect(zoned.zone).toBe(zone);
  const split = splitLogin(zoned.url);
  expect(split.url).toBe(url);
  const [, credentials = ''] = split.login?.authorization.split(' ') ?? [];
  expect(split.login === undefined ? undefined : atob(credentials)).toBe(login);
});
