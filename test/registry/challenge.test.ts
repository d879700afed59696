import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseChallenges } from '../../src/registry/challenge.ts';
import { always } from '../fixtures/property.ts';

const bearer = (realm: string, service?: string, scope?: string) => ({
  scheme: 'bearer',
  realm,
  service,
  scope,
});

test.each([
  // docker-registry, with htpasswd and with a token server; then quay, GitLab, and what RFC 9110 allows besides.
  [['Basic realm="Registry"'], [{ scheme: 'basic' }]],
  [
    ['Bearer realm="https://auth/token",service="registry",scope="repository:os/image:pull"'],
    [bearer('https://auth/token', 'registry', 'repository:os/image:pull')],
  ],
  [['bearer realm="https://a", service=plain'], [bearer('https://a', 'plain')]],
  [['BEARER scope="a \\"b\\"" , realm="https://a"'], [bearer('https://a', undefined, 'a "b"')]],
  [['Basic realm="x", Bearer realm="https://a"'], [{ scheme: 'basic' }, bearer('https://a')]],
  [['Basic'], [{ scheme: 'basic' }]],
  [
    ['Basic realm=x', 'Bearer realm="https://a"'],
    [{ scheme: 'basic' }, bearer('https://a')],
  ],
  [['Negotiate', 'Digest realm="x", nonce="y"'], []],
  [['Bearer service="registry"'], []],
  [[`Bearer realm="${'x'.repeat(8192)}"`], []],
  [[], []],
])('WWW-Authenticate: %j', (values, challenges) => {
  expect<unknown>(parseChallenges(values)).toEqual(challenges);
});

test('anything else is none, and takes no time', () => {
  const parts = fc.constantFrom('Bearer', 'Basic', 'realm', '=', '"', '\\', ',', ' ', 'x', '\t', 'é');
  always(fc.array(parts, { maxLength: 200 }), (words) => {
    for (const each of parseChallenges([words.join('')])) expect(['basic', 'bearer']).toContain(each.scheme);
  });
  const begun = performance.now();
  parseChallenges([', '.repeat(4000), ' '.repeat(8000), `a ${'b '.repeat(3900)}`, `a="${'\\'.repeat(8000)}`]);
  expect(performance.now() - begun).toBeLessThan(1000);
});
