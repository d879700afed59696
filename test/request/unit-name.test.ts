import { describe, expect, test } from 'bun:test';
import { escapeSpecifiers, type UnitSuffix, unitNameFromPath } from '../../src/request/unit-name.ts';
import { refusal } from './refusal.ts';
import { SeededRandom } from './seeded-random.ts';

describe('a unit named after a path', () => {
  test.each<[string, string, UnitSuffix, string]>([
    ['waldo', '/waldo', '.mount', 'waldo@waldo.mount'],
    ['waldo', '/waldo////quuix////', '.mount', 'waldo@waldo-quuix.mount'],
    ['waldo', '/', '.mount', 'waldo@-.mount'],
    ['waldo', '', '.mount', 'waldo@-.mount'],
    ['waldo', '///', '.mount', 'waldo@-.mount'],
    ['wa--ldo', '/--', '.mount', 'wa--ldo@\\x2d\\x2d.mount'],
    ['systemd-import', '/run/machines/root.raw', '.service', 'systemd-import@run-machines-root.raw.service'],
    [
      'systemd-import',
      '/var/lib/confexts/importtest9',
      '.service',
      'systemd-import@var-lib-confexts-importtest9.service',
    ],
    ['x', '/.hidden/.b', '.path', 'x@\\x2ehidden-.b.path'],
    ['x', '/a b%\\ä:_', '.path', 'x@a\\x20b\\x25\\x5c\\xc3\\xa4:_.path'],
    ['x', '/./a/./b', '.path', 'x@a-b.path'],
  ])('%s @ %j %s is %s', (prefix, path, suffix, name) => {
    expect(unitNameFromPath(prefix, path, suffix)).toBe(name);
  });

  test('is refused for a path with ..', () => {
    expect(refusal(() => unitNameFromPath('waldo', '..', '.mount')).toRecord()).toEqual({
      code: 'bad-argument',
      message: 'no unit can be named after "..": it climbs with ".."',
      hint: 'write the path without ".."',
    });
    expect(refusal(() => unitNameFromPath('waldo', '/a/../b', '.mount')).code).toBe('bad-argument');
  });

  test('has a type that systemd knows', () => {
    // @ts-expect-error: .waldi is none
    const suffix: UnitSuffix = '.waldi';
    expect(unitNameFromPath('waldo', '/x', suffix)).toBe('waldo@x.waldi');
  });

  test('may have 255 bytes and no more', () => {
    expect(unitNameFromPath('x', `/${'y'.repeat(245)}`, '.service')).toHaveLength(255);
    const error = refusal(() => unitNameFromPath('x', `/${'y'.repeat(246)}`, '.service'));
    expect(error.code).toBe('bad-image-name');
    expect(error.message).toEndWith('.service has 256 bytes, 255 is the limit');
  });

  test('is spelled as systemd-escape spells it, for 2000 random paths', () => {
    const random = new SeededRandom(5);
    const paths = Array.from(
      { length: 2000 },
      () =>
        `/${random.text(['/', '.', '-', 'a', 'Z', '0', '_', ':', '\\', ' ', '%', '@', 'ä', '\x01', '"'], 12)}`,
    ).filter((path) => !path.split('/').includes('..'));
    const escaped = Bun.spawnSync(['systemd-escape', '--path', '--template=x@.mount', '--', ...paths]);
    expect(escaped.exitCode).toBe(0);
    expect(paths.map((path) => unitNameFromPath('x', path, '.mount')).join(' ')).toBe(
      escaped.stdout.toString().trimEnd(),
    );
  });
});

test.each([
  ['foo%bar', 'foo%%bar'],
  ['%%%%%', '%%%%%%%%%%'],
  ['', ''],
])('a unit file takes %j as %j', (text, escaped) => {
  expect(escapeSpecifiers(text)).toBe(escaped);
});
