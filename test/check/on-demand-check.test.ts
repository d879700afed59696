import { afterAll, beforeAll, expect, test } from 'bun:test';
import { createFindings } from '../../src/check/finding.ts';
import { checkOnDemand } from '../../src/check/on-demand-check.ts';
import type { VerifyMode } from '../../src/request/verify-mode.ts';
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { RangeServer } from '../fixtures/range-server.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const site = new TemporaryDirectory();
const server = new RangeServer(site.path);
beforeAll(() => {
  const image = site.write('image.raw', noiseOf(6 * 1024 * 1024));
  for (const [name, ...options] of [
    ['small', '--block-size=256KiB'],
    ['large', '--block-size=3MiB'],
    ['one'],
  ]) {
    site.write(`${name}.raw.xz`, run(['xz', '-0', '-c', ...options, image]));
  }
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  site[Symbol.dispose]();
});

/** What is found of a file, each as `state: text (hint)`. */
async function check(name: string, { isRequired = false, verify = { kind: 'no' } as VerifyMode } = {}) {
  const findings = createFindings();
  const location = { url: `${server.url}/${name}`, login: undefined };
  await checkOnDemand(
    findings,
    { isRequired, fillRate: Number.POSITIVE_INFINITY },
    {
      ...{ locations: [location], stores: [], seeds: [], limits: DEFAULT_LIMITS },
      ...{
        verify,
        target: '/run/machines/root.raw',
        commandLine: '',
        rootLink: '/run/rdpull/root',
        inInitrd: true,
      },
    },
    { promised: undefined, digestOf: () => undefined },
    { ca: [], login: undefined, signal: new AbortController().signal },
  );
  return findings.all.map(
    ({ stage, state, text, hint }) =>
      `${stage}: ${state}: ${text.replace(server.url, '')}${hint === undefined ? '' : ` (${hint})`}`,
  );
}

test('an image that is fit for it', async () => {
  expect(await check('image.raw')).toEqual([
    'image: ok: it is read on demand (raw, in blocks of 128 KiB at most)',
  ]);
  expect(await check('small.raw.xz')).toEqual([
    'image: ok: it is read on demand (xz, in blocks of 256 KiB at most)',
  ]);
});

test('one whose blocks are large, and which block size would do', async () => {
  expect(await check('large.raw.xz')).toEqual([
    'image: warning: it is read on demand (xz, in blocks of 3.0 MiB at most): whoever reads a byte waits for all of its block (compress it with xz -T0 --block-size=1MiB, or less)',
  ]);
});

test('one that is not, and what would help', async () => {
  const [found = ''] = await check('one.raw.xz');
  expect(found).toStartWith(
    'image: warning: /one.raw.xz is a single block of xz: it is downloaded whole, and not read on demand (',
  );
  expect(found).toContain('--block-size=1MiB');
  const [required = ''] = await check('one.raw.xz', { isRequired: true });
  expect(required).toStartWith(
    'image: failure: /one.raw.xz is a single block of xz: it cannot be read on demand, which on-demand=require demands (',
  );
});

test('one of which nothing vouches for a part', async () => {
  const [found = ''] = await check('image.raw', { verify: { kind: 'signature' } });
  expect(found).toStartWith('image: warning: /image.raw is vouched for as a whole (verify=signature)');
});
