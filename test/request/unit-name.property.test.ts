import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { unitNameFromPath } from '../../src/request/unit-name.ts';
import { always, CASES, cases, unlessRefused } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';

const component = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ maxLength: 10 }),
  fc.constantFrom('.', '', 'run', 'machines', '-', '.hidden', 'a.b', 'über', 'a b', '\\x2d', '@'),
);
const path = fc
  .array(component, { maxLength: 5 })
  .map((components) => `/${components.join('/')}`)
  .filter((text) => !text.includes('\0') && text.isWellFormed());

test('any path has a name of the characters that systemd allows, or none', () => {
  always(fc.oneof(path, fc.string({ unit: 'binary', maxLength: 300 })), (text) => {
    const name = unlessRefused(() => unitNameFromPath('rdpull', text, '.service'));
    if (name !== undefined) expect(name).toMatch(/^rdpull@[0-9A-Za-z:_.\\-]{1,240}\.service$/);
  });
});

test('systemd-escape gives the same names', () => {
  const paths = cases(path.filter((text) => !text.split('/').includes('..') && Buffer.byteLength(text) < 55));
  for (let start = 0; start < CASES; start += 1000) {
    const some = paths.slice(start, start + 1000);
    const names = run(['systemd-escape', '--path', '--template=rdpull@.service', '--', ...some]).toString();
    expect(some.map((each) => unitNameFromPath('rdpull', each, '.service'))).toEqual(
      names.trimEnd().split(' '),
    );
  }
});
