import { expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';

const SOURCE = path.resolve(import.meta.dir, '../../src');

test('the generator loads the parser and itself, and nothing that opens libraries or the network', () => {
  const transpiler = new Bun.Transpiler({ loader: 'ts' });
  const packages = new Set<string>();
  const folders = new Set<string>();
  const files = [path.join(SOURCE, 'commands/generate.ts')];
  const seen = new Set<string>();
  for (let file = files.pop(); file !== undefined; file = files.pop()) {
    if (seen.has(file) || !file.endsWith('.ts')) continue;
    seen.add(file);
    folders.add(path.relative(SOURCE, path.dirname(file)));
    for (const imported of transpiler.scanImports(fs.readFileSync(file, 'utf8'))) {
      if (imported.path.startsWith('.')) files.push(path.resolve(path.dirname(file), imported.path));
      else packages.add(imported.path);
    }
  }
  expect([...packages].sort()).toEqual(['fastest-levenshtein', 'node:fs', 'node:path']);
  expect([...folders].sort()).toEqual(['commands', 'console', 'generator', 'request']);
});
