import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { PLACEHOLDERS } from '../../src/request/placeholder.ts';
import { PULL_OPTIONS } from '../../src/request/pull-options.ts';
import { VERIFY_MODES } from '../../src/request/verify-mode.ts';
import { run } from '../fixtures/run.ts';

const root = path.resolve(import.meta.dir, '../..');
const source = fs.readFileSync(`${root}/src/request/rdpull.pull.7.md`, 'utf8');

describe('rdpull.pull(7) explains', () => {
  test.each(PULL_OPTIONS)('the option %s', (option) => {
    expect(source).toContain(`**${option}`);
  });

  test.each(VERIFY_MODES)('the mode %s', (mode) => {
    expect(source).toContain(`**verify=${mode.replace('HEX', '**_HEX_')}`);
  });

  test.each(PLACEHOLDERS)('the placeholder %s', (placeholder) => {
    expect(source).toContain(`**{${placeholder}}**`);
  });
});

test('rdpull.pull(7) is a manual page without a fault', () => {
  run([`${root}/scripts/man`]);
  const page = `${root}/dist/man/rdpull.pull.7`;
  const { stdout, stderr } = Bun.spawnSync(['groff', '-man', '-Tascii', '-P-c', '-P-b', '-P-u', '-ww', page]);
  expect(stderr.toString()).toBe('');
  expect(stdout.toString()).toContain('OPTIONS:LOCAL:REMOTE');
});
