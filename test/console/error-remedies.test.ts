import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { errorsPage } from '../../scripts/errors-page.ts';
import { ERROR_REMEDIES } from '../../src/console/error-remedies.ts';
import { codesOf, ERROR_FAMILIES } from '../../src/console/rdpull-error.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const CHECKOUT = path.resolve(import.meta.dir, '../..');
const PAGE = path.join(CHECKOUT, 'src/console/rdpull-errors.7.md');
const CODES: readonly string[] = ERROR_FAMILIES.flatMap(codesOf);

const sources = fs
  .globSync('src/**/*.ts', { cwd: CHECKOUT })
  .map((file) => fs.readFileSync(path.join(CHECKOUT, file), 'utf8'))
  .join('\n');

describe('rdpull-errors(7)', () => {
  test('in the repository is what the table of codes says', () => {
    expect(fs.readFileSync(PAGE, 'utf8')).toBe(errorsPage());
  });

  test('as a manual page shows every code, with its cause and remedy', () => {
    using directory = new TemporaryDirectory();
    const page = directory.file('rdpull-errors.7');
    run(['go-md2man', '-in', PAGE, '-out', page]);
    const shown = run(['groff', '-man', '-Tascii', '-P-c', '-P-b', '-P-u', '-rLL=9999n', page])
      .toString()
      .replaceAll(/\s+/g, ' ');
    for (const [code, { cause, remedy }] of Object.entries(ERROR_REMEDIES)) {
      expect(shown).toContain(` ${code} ${cause} Try: ${remedy}`.replaceAll(/\s+/g, ' '));
    }
  });

  test('explains each code in words of its own', () => {
    expect(Object.keys(ERROR_REMEDIES).sort()).toEqual([...CODES].sort());
    for (const text of Object.values(ERROR_REMEDIES).flatMap(({ cause, remedy }) => [cause, remedy])) {
      expect(text).toEndWith('.');
    }
    const causes = Object.values(ERROR_REMEDIES).map(({ cause }) => cause);
    expect(new Set(causes).size).toBe(causes.length);
  });
});

test.each(CODES)('%s is thrown somewhere', (code) => {
  expect(sources).toMatch(
    new RegExp(
      `(?:RdpullError\\(|refusal\\(|refused\\(|code: |\\? |_[A-Z]+', |TOOMANYREQUESTS', )\\s*'${code}'`,
    ),
  );
});
