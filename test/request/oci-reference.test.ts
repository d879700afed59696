import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatReference, nameOfImage, parseReference } from '../../src/request/oci-reference.ts';
import { always } from '../fixtures/property.ts';

const HEX = 'a'.repeat(64);
const NOTHING = { protocol: undefined, registry: undefined, tag: undefined, digest: undefined };

describe('a reference', () => {
  test.each([
    ['alpine', { ...NOTHING, image: 'alpine' }],
    ['alpine:3.20', { ...NOTHING, image: 'alpine', tag: '3.20' }],
    [
      'quay.example.com/os/fedora-bootc:42',
      { ...NOTHING, registry: 'quay.example.com', image: 'os/fedora-bootc', tag: '42' },
    ],
    // Everything before the first slash is the registry, as for systemd and unlike for docker.
    ['library/alpine', { ...NOTHING, registry: 'library', image: 'alpine' }],
    ['localhost:5000/os', { ...NOTHING, registry: 'localhost:5000', image: 'os' }],
    ['[::1]:5000/os:1', { ...NOTHING, registry: '[::1]:5000', image: 'os', tag: '1' }],
    ['http://10.0.2.2:5000/os', { ...NOTHING, protocol: 'http', registry: '10.0.2.2:5000', image: 'os' }],
    [
      `https://h/a/b:t@sha256:${HEX}`,
      { protocol: 'https', registry: 'h', image: 'a/b', tag: 't', digest: { algorithm: 'sha256', hex: HEX } },
    ],
    [
      `h/a@sha512:${HEX}${HEX}`,
      { ...NOTHING, registry: 'h', image: 'a', digest: { algorithm: 'sha512', hex: HEX + HEX } },
    ],
  ] as const)('%s', (text, reference) => {
    expect(parseReference(text)).toEqual(reference);
    expect(formatReference(reference)).toBe(text);
  });

  test('is written as it was read', () => {
    const letters = (unit: string) =>
      fc.string({ unit: fc.constantFrom(...unit), minLength: 1, maxLength: 20 });
    const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const reference = fc.record({
      protocol: optional(fc.constantFrom('http', 'https')),
      registry: letters('abz09').map((host) => `${host}:5000`),
      image: fc.array(letters('az09_-'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
      tag: optional(letters('aZ09_')),
      digest: optional(fc.constant({ algorithm: 'sha256', hex: HEX } as const)),
    });
    always(reference, (each) => expect(parseReference(formatReference(each))).toEqual(each));
  });

  test('yields the last part of its name', () => {
    const parsed = parseReference('quay.example.com/os/fedora-bootc:42');
    expect('what' in parsed ? parsed : nameOfImage(parsed)).toBe('fedora-bootc');
  });
});

describe('what is no reference is told', () => {
  test.each([
    ['', 'is empty'],
    ['x'.repeat(1025), 'is longer than 1024 characters'],
    ['h/{serial}', 'holds a placeholder, and those are for URLs'],
    ['docker://h/a', 'begins with "docker:/'],
    ['ostree-unverified-registry:h/a', 'begins with "ostree-unverified-registry:"'],
    ['h/Alpine', 'has a name that no registry takes'],
    ['h/a//b', 'has a name that no registry takes'],
    ['h/../b', 'has a name that no registry takes'],
    ['h/a:', 'has a tag that no registry takes'],
    ['h/a:1:2', 'has a tag that no registry takes'],
    [`h/a:${'t'.repeat(129)}`, 'has a tag that no registry takes'],
    ['h/a@sha256:12', 'has an "@" that is not followed by a digest'],
    [`h/a@sha256:${HEX.toUpperCase()}`, 'has an "@" that is not followed by a digest'],
    ['me:secret@h/a', 'has an "@" that is not followed by a digest'],
    ['h:0/a', 'does not begin with the host of a registry, and its port'],
    ['h:65536/a', 'does not begin with the host of a registry, and its port'],
    ['-h/a', 'does not begin with the host of a registry, and its port'],
    ['ftp://h/a', 'does not begin with the host of a registry, and its port'],
  ])('%j', (text, what) => {
    const parsed = parseReference(text);
    expect('what' in parsed ? parsed.what : 'nothing').toStartWith(what);
  });

  test('of any text', () => {
    always(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
      const parsed = parseReference(text);
      if (!('what' in parsed)) expect(formatReference(parsed)).toBe(text);
    });
  });
});
