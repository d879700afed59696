import { expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';

const SOURCE = path.resolve(import.meta.dir, '../../src');

test('reading requests and finding the boot origin loads neither FFI nor HTTP nor OpenPGP: the generator does both', () => {
  const transpiler = new Bun.Transpiler({ loader: 'ts' });
  const files = ['request', 'origin'].flatMap((stage) =>
    fs.readdirSync(path.join(SOURCE, stage)).map((name) => path.join(SOURCE, stage, name)),
  );
  const packages = new Set<string>();
  const folders = new Set<string>();
  const seen = new Set<string>();
  for (let file = files.pop(); file !== undefined; file = files.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    folders.add(path.relative(SOURCE, path.dirname(file)));
    for (const imported of transpiler.scanImports(fs.readFileSync(file, 'utf8'))) {
      if (imported.path.startsWith('.')) files.push(path.resolve(path.dirname(file), imported.path));
      else packages.add(imported.path);
    }
  }
  expect([...packages].sort()).toEqual(['fastest-levenshtein', 'node:fs']);
  expect([...folders].sort()).toEqual(['console', 'origin', 'request']);
});
