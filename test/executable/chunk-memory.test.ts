import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import { makeChunks } from '../chunks/chunked-image.ts';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { type Nginx, startNginx } from '../fixtures/nginx.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
/** What a pull of an image in chunks may take at most, in bytes, however large those are (README). */
const BOUND = 170 * MIB;
/** casync's `max`, four times the average that it is told. */
const CHUNK = 16 * MIB;

const site = new TemporaryDirectory();
const work = new TemporaryDirectory();
let nginx: Nginx;

beforeAll(async () => {
  // Where a byte comes again and again, casync cuts nothing before it is as long as it may be.
  for (let byte = 1; byte <= 16; byte++) fs.appendFileSync(work.file('large.raw'), Buffer.alloc(CHUNK, byte));
  makeChunks(site.path, 'large', work.file('large.raw'), { chunkSize: CHUNK / 4 });
  nginx = await startNginx(site.path);
}, 60_000);
afterAll(async () => {
  await nginx[Symbol.asyncDispose]();
  for (const each of [site, work]) each[Symbol.dispose]();
});

/** @returns the peak RSS of it, in bytes */
async function pull(...options: string[]): Promise<Finished & { readonly peak: number }> {
  using target = new TemporaryDirectory();
  const figure = target.file('kibibytes');
  const finished = await rdpull(
    [
      ...['pull', '--verify=no', '--quiet', `--image-root=${target.path}`],
      ...[...options, `${nginx.url}/large.caibx`],
    ],
    { wrapper: ['/usr/bin/time', '--format=%M', `--output=${figure}`] },
  );
  run(['cmp', work.file('large.raw'), target.file('large.raw')]);
  return { ...finished, peak: Number(fs.readFileSync(figure, 'utf8')) * 1024 };
}

test('chunks of 16 MiB take no more memory than small ones, from a server and from a cache', async () => {
  fs.mkdirSync(work.file('cache'));
  const cache = `--cache=${work.file('cache')}`;
  const fetched = await pull(cache);
  expect(fetched).toMatchObject({ status: 0, stderr: '' });
  expect(fetched.peak).toBeLessThan(BOUND);
  fs.rmSync(site.file('default.castr'), { recursive: true });
  const reused = await pull(cache);
  expect(reused).toMatchObject({ status: 0, stderr: '' });
  expect(reused.peak).toBeLessThan(BOUND);
});
