import { expect, test } from 'bun:test';
import { requestPath } from '../../src/serve/request-path.ts';

test.each([
  ['/', [], true],
  ['/image.efi', ['image.efi'], false],
  ['/a%20b/c/?x=/..', ['a b', 'c'], true],
  ['http://host:1/image.efi', ['image.efi'], false],
] as const)('%s', (target, names, isDirectory) => {
  expect(requestPath(target)).toEqual({ names, isDirectory });
});

test.each(['/../x', '/%2e%2e/x', '/a/%2E./x', '/a%2fb', '/a%00', '//x', '/./x', '/%ff', '*', 'x'])(
  '%s names no file',
  (target) => {
    expect(requestPath(target)).toBeUndefined();
  },
);
