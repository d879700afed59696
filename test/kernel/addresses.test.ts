import { expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { NameBuffer, openPlaceBelow } from '../../src/kernel/directory-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SOURCE = path.resolve(import.meta.dir, '../../src');

/**
 * A small typed array that was made without a buffer is moved by the runtime, once it gets one (which the optimizing compiler
 * sees to): what the kernel reads at an address that was taken before is freed memory.
 */
test('memory whose address is kept has a buffer of its own', () => {
  const kept: string[] = [];
  for (const file of fs.readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue;
    const text = fs.readFileSync(path.join(SOURCE, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/^(?:const \w+| +this\.#\w+) = ptr\((?:this\.)?(#?\w+)\)/gm)) {
      const declared = new RegExp(`${name}(?:: \\w+)? = [^;]*;`, 'g');
      const places = text.match(declared) ?? [];
      const isOwn = places.some((place) => place.includes('new ArrayBuffer('));
      kept.push(`${file} ${name} ${isOwn ? 'own' : 'may move'}`);
    }
  }
  expect(kept.length).toBeGreaterThan(3);
  expect(kept.filter((line) => line.endsWith('may move'))).toEqual([]);
});

test('a directory behind a link is not opened, however often, and whatever is collected meanwhile', () => {
  using directory = new TemporaryDirectory();
  fs.mkdirSync(directory.file('a/b'), { recursive: true });
  fs.symlinkSync('/', directory.file('a/link'));
  const [behindLink, plain] = [new NameBuffer(100), new NameBuffer(100)];
  behindLink.bytes.write('a/link/usr');
  plain.bytes.write('a/b');
  const root = fs.openSync(directory.path, 'r');
  try {
    for (let call = 0; call < 100_000; call++) {
      expect(openPlaceBelow(root, behindLink.name(0))).toBeUndefined();
      const opened = openPlaceBelow(root, plain.name(0));
      if (opened === undefined) throw new Error(`not opened by call ${call}`);
      fs.closeSync(opened);
      if (call % 20_000 === 0) Bun.gc(true);
    }
  } finally {
    fs.closeSync(root);
  }
}, 60_000);
