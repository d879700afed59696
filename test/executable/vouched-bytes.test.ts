import { afterAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import zlib from 'node:zlib';
import { rdpull } from '../fixtures/executable.ts';
import { directory, file, tarArchive } from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const temporary = new TemporaryDirectory();
afterAll(() => temporary[Symbol.dispose]());

let pulls = 0;

async function pull(bytes: Uint8Array, mode: 'sha256' | 'no', change = '') {
  const name = `${pulls++}`;
  const path = temporary.write(`${name}.tar`, bytes);
  const digest = createHash('sha256').update(bytes).update(change).digest('hex');
  const { status, stderr } = await rdpull([
    'pull',
    '--type=tar',
    `--verify=${mode === 'no' ? 'no' : `sha256:${digest}`}`,
    `--local=${name}`,
    `--image-root=${temporary.path}`,
    `file://${path}`,
  ]);
  const tree = temporary.file(name);
  return { status, stderr, names: fs.existsSync(tree) ? fs.readdirSync(tree).sort() : undefined };
}

const members = Buffer.concat([directory('etc/'), file('etc/os-release', 'ID=x\n'), file('f')]);

describe.each([
  ['a tarball without its end-of-archive marker', members, 'the tar archive ends early'],
  [
    'a gzip file with something behind it',
    Buffer.concat([zlib.gzipSync(tarArchive(members)), Buffer.from('garbage')]),
    'something that is not gzip follows',
  ],
] as const)('%s', (_, bytes, words) => {
  test('is taken when its digest is promised, and holds', async () => {
    expect(await pull(bytes, 'sha256')).toMatchObject({ status: 0, names: ['etc', 'f'] });
  });

  test('is refused when the digest does not hold', async () => {
    const { status, stderr, names } = await pull(bytes, 'sha256', 'x');
    expect({ status, names }).toEqual({ status: 13, names: undefined });
    expect(stderr).toContain('SHA-256');
  });

  test('is refused when nothing vouches for it', async () => {
    const { status, stderr, names } = await pull(bytes, 'no');
    expect({ status, names }).toEqual({ status: 12, names: undefined });
    expect(stderr).toContain(words);
  });
});
