import fs from 'node:fs';
import path from 'node:path';
import { DEFAULT_LIMITS } from '../src/transfer/limits.ts';
import { DEFAULT_MEMORY } from '../src/transfer/pipeline/memory.ts';
import { runTransfer } from '../src/transfer/transfer.ts';
import { sampleOf } from './soak-runs.ts';

/* Transfers URL into DIRECTORY, COUNT times in this process, and prints a line of figures after each. */

const [url = '', directory = '', count = ''] = process.argv.slice(2);
const target = path.join(directory, 'soaked.raw');
const signal = new AbortController().signal;
for (let number = 1; number <= Number(count); number++) {
  await runTransfer(
    {
      locations: [{ url, login: undefined }],
      type: 'raw',
      target,
      verify: { kind: 'no' },
      keyrings: [],
      certificates: [],
      readOnly: false,
      force: true,
      sideFiles: () => [],
      overcommit: false,
      limits: DEFAULT_LIMITS,
      memory: DEFAULT_MEMORY,
      tellsDigest: true,
    },
    { ca: [], login: undefined, signal },
    {
      started: () => undefined,
      progress: () => undefined,
      warn: (text) => console.error(text),
      converting: () => undefined,
      explain: () => undefined,
    },
  );
  // What is no longer needed counts only when it is not given back.
  Bun.gc(true);
  const sample = sampleOf('self', number);
  if (sample === undefined) throw new Error('/proc/self cannot be read');
  console.log(`${sample.at} ${sample.anonymous} ${sample.resident} ${sample.descriptors}`);
}
fs.rmSync(target);
