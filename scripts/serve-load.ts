/** What rdpull serve does with many machines at once: see scripts/serve-load. */
import fs from 'node:fs';
import type { Browser } from 'playwright-core';
import { openPage, startBrowser } from '../test/fixtures/browser.ts';
import { RDPULL } from '../test/fixtures/executable.ts';
import { run } from '../test/fixtures/run.ts';
import { TemporaryDirectory } from '../test/fixtures/temporary-directory.ts';

/** Of the addresses 10.201.0.0/16, the bridge has the first. */
const NETWORK = '10.201';
const HUB = 'rdpull-load';
const ADDRESS = `${NETWORK}.0.1`;
const PORT = 8081;

/** Ticks of a second in proc_pid_stat(5): USER_HZ. */
const TICKS = 100;

function option(name: string, otherwise: number): number {
  const given = process.argv.find((each) => each.startsWith(`--${name}=`))?.split('=')[1];
  const value = given === undefined ? otherwise : Number(given);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`--${name}=${given} is no number`);
}

const machines = option('machines', 200);
const mebibytes = option('mebibytes', 100);
const browsers = option('browsers', 3);
const megabits = option('megabits', 5);

const spaceOf = (machine: number) => `${HUB}-${machine}`;
const inside = (space: string, ...command: string[]) => ['ip', 'netns', 'exec', space, ...command];

/** One namespace with a bridge, and one with an end of it for each machine. */
function connectMachines(): Disposable {
  const remove = () => {
    for (const name of fs
      .readdirSync('/run/netns')
      .filter((each) => each === HUB || each.startsWith(`${HUB}-`))) {
      run(['ip', 'netns', 'delete', name]);
    }
  };
  fs.mkdirSync('/run/netns', { recursive: true });
  remove();
  run(['ip', 'netns', 'add', HUB]);
  run(inside(HUB, 'ip', 'link', 'add', 'hub', 'type', 'bridge'));
  run(inside(HUB, 'ip', 'address', 'add', `${ADDRESS}/16`, 'dev', 'hub'));
  for (const device of ['lo', 'hub']) run(inside(HUB, 'ip', 'link', 'set', device, 'up'));
  for (let machine = 1; machine <= machines; machine++) {
    const space = spaceOf(machine);
    run(['ip', 'netns', 'add', space]);
    run(
      inside(HUB, 'ip', 'link', 'add', `m${machine}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space),
    );
    run(inside(HUB, 'ip', 'link', 'set', `m${machine}`, 'master', 'hub', 'up'));
    if (megabits > 0) {
      const rate = ['tbf', 'rate', `${megabits}mbit`, 'burst', '64kb', 'latency', '400ms'];
      run(inside(HUB, 'tc', 'qdisc', 'add', 'dev', `m${machine}`, 'root', ...rate));
    }
    const address = `${NETWORK}.${1 + Math.floor(machine / 250)}.${1 + (machine % 250)}/16`;
    run(inside(space, 'ip', 'address', 'add', address, 'dev', 'eth0'));
    run(inside(space, 'ip', 'link', 'set', 'eth0', 'up'));
  }
  return { [Symbol.dispose]: remove };
}

/** What a process has used: memory at most in MiB, processor time in s. */
function usage(pid: number): { readonly mebibytes: number; readonly seconds: number } {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const peak = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return { mebibytes: Math.round(peak), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS };
}

using work = new TemporaryDirectory();
using _namespaces = connectMachines();
fs.mkdirSync(work.file('served'));
run(['truncate', '-s', `${mebibytes}M`, work.file('served/image.raw')]);

const env = { PATH: process.env['PATH'] ?? '' };
const server = Bun.spawn(
  inside(HUB, RDPULL, 'serve', work.file('served'), `--port=${PORT}`, '--json', '--quiet'),
  {
    env,
    stdout: Bun.file(work.file('events')),
  },
);
const url = `http://${ADDRESS}:${PORT}/`;
// The list of checksums is ready.
run(
  inside(
    HUB,
    'curl',
    '-sf',
    '--retry',
    '60',
    '--retry-connrefused',
    '--retry-delay',
    '1',
    '-o',
    '/dev/null',
    `${url}SHA256SUMS`,
  ),
);

// The browser has to be where the server is.
const chromium = work.write('chromium', `#!/bin/sh\nexec ip netns exec ${HUB} /usr/bin/chromium "$@"\n`);
fs.chmodSync(chromium, 0o755);
const opened: Browser[] = [];
const pages = await Promise.all(
  Array.from({ length: browsers }, async () => {
    const browser = await startBrowser(chromium);
    opened.push(browser);
    return openPage(browser, url);
  }),
);

const begun = performance.now();
const before = usage(server.pid);
const pulls = Array.from({ length: machines }, async (_, index) => {
  const space = spaceOf(index + 1);
  const name = `node${index + 1}`;
  const command = [
    'unshare',
    '--uts',
    'sh',
    '-c',
    'hostname "$0"; exec "$@"',
    name,
    RDPULL,
    'pull',
    '--quiet',
  ];
  const where = ['--verify=checksum', '--patience=300', `--image-root=${work.file(name)}`, `${url}image.raw`];
  // Real machines have processors of their own; here they get what the server leaves.
  const child = Bun.spawn(['nice', '-n', '19', ...inside(space, ...command, ...where)], {
    env,
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const said = await child.stderr.text();
  await child.exited;
  return { status: child.exitCode, said, milliseconds: performance.now() - begun };
});

/** How long the page takes from a question to an answer, in ms, while all that goes on: a person would notice 100. */
const latencies: number[] = [];
let isOver = false;
const watching = (async () => {
  while (!isOver) {
    const asked = performance.now();
    await Promise.all(pages.map(({ page }) => page.evaluate('document.title')));
    latencies.push(performance.now() - asked);
    await Bun.sleep(500);
  }
})();
const outcomes = await Promise.all(pulls);
const seconds = (performance.now() - begun) / 1000;
isOver = true;
await watching;

// The last news is half a second old at most.
await Bun.sleep(1500);
const rows = await Promise.all(
  pages.map(async ({ page }) => ({
    machines: await page.locator('.machine').count(),
    verified: await page.locator('.machine').filter({ hasText: 'checksum in SHA256SUMS' }).count(),
  })),
);
const complaints = pages.flatMap((each) => each.complaints);
const after = usage(server.pid);
const events = fs.readFileSync(work.file('events'), 'utf8').split('\n').filter(Boolean);
const reports = events.flatMap((line): string[] => {
  const each = JSON.parse(line);
  return each.event === 'report' ? [each.report.event] : [];
});
const failures = outcomes.filter(({ status }) => status !== 0);
const sorted = latencies.toSorted((one, other) => one - other);
const figures = {
  machines,
  mebibytes,
  megabits,
  browsers,
  failed: failures.length,
  seconds: Math.round(seconds * 10) / 10,
  mebibytesASecond: Math.round((machines * mebibytes) / seconds),
  server: {
    peakMebibytes: after.mebibytes,
    cpuSeconds: Math.round((after.seconds - before.seconds) * 10) / 10,
  },
  reports: {
    started: reports.filter((each) => each === 'pull-started').length,
    progress: reports.filter((each) => each === 'progress').length,
    finished: reports.filter((each) => each === 'pull-finished').length,
  },
  pages: rows,
  pageAnswers: {
    medianMs: Math.round(sorted[sorted.length >> 1] ?? 0),
    worstMs: Math.round(sorted.at(-1) ?? 0),
  },
  complaints,
};
for (const each of pages) await each[Symbol.asyncDispose]();
for (const browser of opened) await browser.close();
server.kill('SIGTERM');
await server.exited;

console.log(JSON.stringify(figures, undefined, process.argv.includes('--json') ? undefined : 2));
if (failures.length > 0)
  console.error(
    failures
      .slice(0, 3)
      .map(({ said }) => said)
      .join(''),
  );
const isWhole = rows.every((each) => each.machines === machines);
process.exitCode = failures.length === 0 && isWhole ? 0 : 1;
