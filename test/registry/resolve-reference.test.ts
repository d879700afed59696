import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { resolveReference } from '../../src/registry/resolve-reference.ts';
import { parseReference } from '../../src/request/oci-reference.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const HEX = 'a'.repeat(64);
const root = new TemporaryDirectory();
beforeEach(() => {
  for (const name of fs.readdirSync(root.path)) fs.rmSync(root.file(name), { recursive: true });
});
afterAll(() => root[Symbol.dispose]());

/** @param directory below which systemd looks */
function rule(name: string, content: unknown, directory = 'etc'): void {
  const folder = root.file(directory, 'systemd/oci-registry');
  fs.mkdirSync(folder, { recursive: true });
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  fs.writeFileSync(`${folder}/${name}.oci-registry`, text);
}

function resolved(text: string): { readonly origin: string; readonly name: string } {
  const parsed = parseReference(text);
  if ('what' in parsed) throw new Error(parsed.what);
  const { origin, name } = resolveReference(parsed, root.path);
  return { origin, name };
}

describe('without rules', () => {
  test.each([
    ['quay.example.com/os', 'https://quay.example.com', 'quay.example.com/os:latest'],
    ['quay.example.com/os:42', 'https://quay.example.com', 'quay.example.com/os:42'],
    [`quay.example.com/os@sha256:${HEX}`, 'https://quay.example.com', `quay.example.com/os@sha256:${HEX}`],
    // Nobody is on the way to this machine itself.
    ['localhost:5000/os', 'http://localhost:5000', 'localhost:5000/os:latest'],
    ['127.0.0.1:5000/os', 'http://127.0.0.1:5000', '127.0.0.1:5000/os:latest'],
    ['[::1]:5000/os', 'http://[::1]:5000', '[::1]:5000/os:latest'],
    ['https://localhost/os', 'https://localhost', 'https://localhost/os:latest'],
    ['http://10.0.2.2:5000/os', 'http://10.0.2.2:5000', 'http://10.0.2.2:5000/os:latest'],
    ['127.0.0.1.example.com/os', 'https://127.0.0.1.example.com', '127.0.0.1.example.com/os:latest'],
  ])('%s', (text, origin, name) => {
    expect(resolved(text)).toEqual({ origin, name });
  });

  test('a name alone means no registry', () => {
    expect(() => resolved('alpine')).toThrow(
      '"alpine" names no registry, and no file of systemd/oci-registry names one',
    );
  });
});

describe("systemd's rules", () => {
  test('for names without a registry', () => {
    rule('default', {
      defaultRegistry: 'registry.example.com',
      shortImagePrefix: 'library/',
      defaultTag: 'stable',
    });
    expect(resolved('alpine').name).toBe('registry.example.com/library/alpine:stable');
    expect(resolved('other.example.com/a/b').name).toBe('other.example.com/a/b:stable');
  });

  test('for one image, for one registry, and the first directory counts', () => {
    rule('image.alpine', { defaultRegistry: 'a.example.com' }, 'usr/lib');
    rule(
      'registry.b.example.com%3a5000',
      { overrideRegistry: 'mirror.example.com', defaultProtocol: 'http' },
      'usr/lib',
    );
    expect(resolved('alpine').name).toBe('a.example.com/alpine:latest');
    expect(resolved('b.example.com:5000/os')).toEqual({
      origin: 'http://mirror.example.com',
      name: 'http://mirror.example.com/os:latest',
    });
    rule('image.alpine', { defaultRegistry: 'etc.example.com' });
    expect(resolved('alpine').name).toBe('etc.example.com/alpine:latest');
  });

  test.each([
    ['{', 'it is not JSON'],
    ['[]', 'it holds no object'],
    ['{"defaultTag":7}', 'defaultTag is no string'],
    [`"${'x'.repeat(70_000)}"`, 'it is longer than 65536 bytes'],
    ['{"defaultRegistry":"h","overrideImage":"../../etc"}', 'has a name that no registry takes'],
    ['{"defaultRegistry":"a b"}', 'does not begin with the host of a registry'],
    [
      '{"defaultRegistry":"h","defaultProtocol":"ftp"}',
      'says defaultProtocol "ftp", and a registry is asked by https or http',
    ],
  ])('that make no sense are told: %s', (text, message) => {
    rule('default', text);
    expect(() => resolved('alpine')).toThrow(message);
  });
});
