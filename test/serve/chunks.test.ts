import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { isChunkPath } from '../../src/serve/request-path.ts';
import { RdpullServe } from '../fixtures/rdpull-serve.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const DIGEST = '2fc1'.padEnd(64, '0');

test.each([
  [['default.castr', '2fc1', `${DIGEST}.cacnk`], true],
  [['default.castr', '2fc1', DIGEST], true],
  [['2fc1', DIGEST], true],
  [['2fc2', DIGEST], false],
  [['2fc1', `${DIGEST}.raw`], false],
  [['2fc', DIGEST], false],
  [[DIGEST], false],
  [['2fc1', DIGEST.toUpperCase()], false],
])('%p: %p', (names, isChunk) => {
  expect(isChunkPath(names)).toBe(isChunk);
});

test('a chunk may be kept for ever, and nothing else; a machine that fetches chunks is told in one line', async () => {
  using directory = new TemporaryDirectory();
  fs.mkdirSync(directory.file('default.castr', '2fc1'), { recursive: true });
  directory.write(`default.castr/2fc1/${DIGEST}.cacnk`, 'a chunk');
  directory.write('image.caibx', 'an index');
  await using server = await RdpullServe.start(directory.path);
  const chunk = server.url(`default.castr/2fc1/${DIGEST}.cacnk`);
  for (let times = 0; times < 3; times++) {
    const answer = await fetch(chunk);
    expect(await answer.text()).toBe('a chunk');
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  }
  expect((await fetch(server.url('image.caibx'))).headers.get('cache-control')).toBe('no-cache');
  const { stderr } = await server.stop();
  expect(stderr).toContain('GET /default.castr/  3 chunks, 21 B');
  expect(stderr).toContain('GET /image.caibx  200');
  expect(stderr).not.toContain(DIGEST);
});
