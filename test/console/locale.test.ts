import { expect, test } from 'bun:test';
import { barStyle } from '../../src/console/locale.ts';

test.each([
  [{}, 'ascii'],
  [{ LANG: 'C' }, 'ascii'],
  [{ LANG: 'en_GB.UTF-8' }, 'blocks'],
  [{ LANG: 'C.utf8' }, 'blocks'],
  [{ LC_ALL: '', LC_CTYPE: '', LANG: 'C.UTF-8' }, 'blocks'],
  [{ LC_CTYPE: 'de_DE.ISO-8859-1', LANG: 'C.UTF-8' }, 'ascii'],
  [{ LC_ALL: 'C.UTF-8', LC_CTYPE: 'C', LANG: 'C' }, 'blocks'],
  [{ LC_ALL: 'C', LANG: 'C.UTF-8' }, 'ascii'],
] as const)('bars in the locale of %j are drawn with %s', (environment, expected) => {
  expect(barStyle(environment)).toBe(expected);
});
