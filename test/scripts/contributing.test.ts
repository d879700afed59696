import { expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dir, '../..');
const text = fs.readFileSync(path.join(ROOT, 'CONTRIBUTING.md'), 'utf8');

/** What is made by what stands beside it. */
const isMade = (name: string) => /^dist\/|^node_modules\/|NAME/.test(name);

const named = [...text.matchAll(/`([^`]+)`/g)]
  .flatMap(([, code = '']) => code.split(' '))
  .filter((word) => /^(?:src|test|scripts|\.ci)\/|^[A-Za-z-]+\.(?:md|json)$/.test(word) && !isMade(word));

test.each([...new Set(named)])('CONTRIBUTING.md: there is %s', (name) => {
  expect(fs.existsSync(path.join(ROOT, name.replace(/[,;]$/, '')))).toBe(true);
});

test('CONTRIBUTING.md: it names many files, and fits a page', () => {
  expect(named.length).toBeGreaterThan(40);
  expect(text.split('\n').length).toBeLessThan(110);
});
