/**
 * Runs a transfer and prints for how long its main thread could not do anything else at worst, in ms; a program of its
 * own, because the tests' own thread has other things to do. Arguments: URL, target, raw or tar.
 */
import { DEFAULT_LIMITS } from '../../src/transfer/limits.ts';
import { DEFAULT_MEMORY } from '../../src/transfer/pipeline/memory.ts';
import { runTransfer } from '../../src/transfer/transfer.ts';
// Loading is no part of it: this is not the executable, in which everything is compiled.
import '../../src/source/http.ts';

const INTERVAL = 2;

const [url = '', target = '', type] = process.argv.slice(2);
let worst = 0;
let last = performance.now();
const timer = setInterval(() => {
  const now = performance.now();
  worst = Math.max(worst, now - last - INTERVAL);
  last = now;
}, INTERVAL);

await runTransfer(
  {
    locations: [{ url, login: undefined }],
    type: type === 'tar' ? 'tar' : 'raw',
    target,
    verify: { kind: 'no' },
    keyrings: [],
    certificates: [],
    readOnly: false,
    force: true,
    overcommit: false,
    limits: DEFAULT_LIMITS,
    memory: DEFAULT_MEMORY,
    tellsDigest: true,
    sideFiles: () => [],
  },
  { ca: [], login: undefined, signal: new AbortController().signal },
  {
    started: () => undefined,
    progress: () => undefined,
    warn: () => undefined,
    converting: () => undefined,
    explain: () => undefined,
  },
);
// One more turn: what came last has not been seen yet.
await Bun.sleep(INTERVAL * 2);
clearInterval(timer);
console.log(worst);
