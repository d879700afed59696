import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { freePort } from '../fixtures/daemon.ts';
import { RDPULL, rdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { RdpullServe } from '../fixtures/rdpull-serve.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const BOOT = '7770c9c7-e564-43ea-86f8-79360c0b3466';

let served: TemporaryDirectory;
const target = new TemporaryDirectory();
beforeEach(() => {
  served = new TemporaryDirectory();
  served.write('image.raw', noiseOf(3 * 1024 * 1024));
});
afterEach(() => served[Symbol.dispose]());
afterAll(() => target[Symbol.dispose]());

const pull = (server: RdpullServe, ...args: string[]) =>
  rdpull(['pull', `--image-root=${target.file(randomUUID())}`, ...args, server.url('image.raw')]);

/** Reports, as anybody may send them. */
async function report(server: RdpullServe, lines: readonly object[], machine: object = {}): Promise<number> {
  const body = [{ boot: BOOT, ...machine }, ...lines].map((line) => JSON.stringify(line)).join('\n');
  return post(server, body);
}
async function post(
  server: RdpullServe,
  body: string | ReadableStream,
  type = 'application/jsonl',
): Promise<number> {
  const headers = { 'content-type': type };
  return (await fetch(server.url('.rdpull/report'), { method: 'POST', body, headers })).status;
}

/** What a server has said of machines, in lines. */
const told = (stderr: string) => stderr.split('\n').filter((line) => /^rdpull: \S+ \(/.test(line));

test('what a machine does is told as it happens, in plain lines where there is no terminal', async () => {
  await using server = await RdpullServe.start(served.path);
  expect((await pull(server, '--verify=checksum')).status).toBe(0);
  expect((await pull(server)).status).toBe(13);
  const who = `rdpull: 127.0.0.1 (${run(['hostname']).toString().trim()})  `;
  const url = server.url('image.raw');
  const [pulling, done, error, hint, retry] = told((await server.stop()).stderr);
  expect(pulling).toBe(`${who}pulling ${url} (3.0 MiB)`);
  expect(done).toStartWith(`${who}${target.path}/`);
  expect(done).toEndWith(`verified by ${server.url('SHA256SUMS')}`);
  expect(error).toStartWith(`${who}error: nobody has signed the checksums of ${url}; asked for`);
  expect(hint).toStartWith(`${who}try: sign them with gpg`);
  expect(retry).toBe(
    `${who}retry: rdpull pull --image-root=${/image-root=(\S+)/.exec(retry ?? '')?.[1]} ${url}`,
  );
});

test('progress is a line every few seconds', async () => {
  await using server = await RdpullServe.start(served.path);
  const target = '/run/machines/root.raw';
  await report(server, [{ event: 'pull-started', at: 1, size: 1000, target, message: 'pulling x' }]);
  await report(server, [{ event: 'progress', at: 2, size: 1000, received: 250, rate: 100, target }]);
  await Bun.sleep(5200);
  const lines = (await server.stop()).stderr.split('\n').filter((line) => line.includes('%'));
  expect(lines).toEqual(['rdpull: 127.0.0.1  pulling root.raw  25 %, 250 of 1000 B, 100 B/s, 7.5 s left']);
});

test('on a terminal the rows of the machines are drawn below the lines that stay', async () => {
  const port = await freePort();
  const words = [RDPULL, 'serve', `--port=${port}`, '--address=127.0.0.1', served.path];
  const command = words.map((word) => Bun.$.escape(word)).join(' ');
  const terminal = Bun.spawn(['script', '-qfec', `stty cols 100 rows 12 && exec ${command}`, '/dev/null'], {
    env: { PATH: process.env['PATH'] ?? '', TERM: 'xterm', SHELL: '/bin/sh' },
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const send = async (name: string, ...lines: object[]) => {
    const body = [{ boot: BOOT, name, serial: name }, ...lines]
      .map((line) => JSON.stringify(line))
      .join('\n');
    const headers = { 'content-type': 'application/jsonl' };
    await fetch(`http://127.0.0.1:${port}/.rdpull/report`, { method: 'POST', body, headers });
  };
  for (let tries = 0; tries < 500; tries++) {
    try {
      await fetch(`http://127.0.0.1:${port}/`);
      break;
    } catch {
      await Bun.sleep(20);
    }
  }
  for (let machine = 0; machine < 20; machine++) {
    const progress = {
      event: 'progress',
      at: 2,
      size: 1000,
      received: 250,
      rate: 100,
      target: '/r/root.raw',
    };
    await send(
      `node${machine}`,
      { event: 'pull-started', at: 1, target: '/r/root.raw', message: 'pulling' },
      progress,
    );
  }
  await Bun.sleep(700);
  terminal.kill('SIGTERM');
  const screen = (await terminal.stdout.text()).replaceAll('\r\n', '\n');
  expect(screen).toContain('rdpull: 127.0.0.1 (node7)  pulling\n');
  // The last picture: as high as the terminal has room for, and how many there are beside it.
  const picture = screen.split(/\r\x1b\[\d+A\x1b\[J/).findLast((each) => each.includes('25 %')) ?? '';
  const rows = picture.split('\n').filter((row) => row !== '' && !row.startsWith('rdpull:'));
  expect(rows).toHaveLength(8);
  expect(rows[0]).toBe('127.0.0.1 (node0)  pulling root.raw  25 %, 250 of 1000 B, 100 B/s, 7.5 s left');
  expect(rows[7]).toBe('and 13 more');
}, 20_000);

describe('a hostile machine', () => {
  test('cannot write escape codes to the terminal, nor a line that looks like another', async () => {
    await using server = await RdpullServe.start(served.path, ['--json']);
    const evil = '\x1b[2J\x1b]0;owned\x07\r\nrdpull: all is well\u202e\x9b31m';
    const fields = ['message', 'hint', 'retry', 'target', 'url', 'error', 'verifiedBy', 'loop'];
    const event = Object.fromEntries(fields.map((name) => [name, evil]));
    for (const name of ['failed', 'pull-started', 'pull-finished', 'image-exposed']) {
      expect(await report(server, [{ ...event, event: name }], { name: evil, serial: evil, uki: evil })).toBe(
        204,
      );
    }
    const { stdout, stderr } = await server.stop();
    for (const text of [stdout, stderr]) expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    expect(stderr.split('\n').filter((line) => line === 'rdpull: all is well')).toEqual([]);
    for (const line of stdout.trimEnd().split('\n')) JSON.parse(line);
  });

  test('cannot send what is too large, no report, or of another type, nor anything to another place', async () => {
    await using server = await RdpullServe.start(served.path);
    expect(await post(server, 'x'.repeat(70_000))).toBe(413);
    expect(await post(server, new Blob(['x'.repeat(50_000_000)]).stream())).toBe(413);
    expect(await post(server, 'x')).toBe(400);
    expect(await post(server, `{"boot":"${BOOT}"}`, 'text/plain')).toBe(415);
    for (const path of ['', 'image.raw', '.rdpull/other', '.rdpull/report/x']) {
      const { status } = await fetch(server.url(path), { method: 'POST', body: 'x' });
      expect(status).toBe(405);
    }
    expect((await fetch(server.url('.rdpull/report'))).status).toBe(404);
    expect((await pull(server, '--verify=checksum')).status).toBe(0);
  });

  test('cannot flood the server: it is told to stop, and others are served meanwhile', async () => {
    await using server = await RdpullServe.start(served.path, ['--json', '--quiet']);
    const lines = Array.from({ length: 60 }, (_, at) => ({ event: 'pull-started', at, message: 'x' }));
    const statuses = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        report(server, lines, { serial: `s${index}`, name: 'n'.repeat(5000) }).catch(() => 429),
      ),
    );
    expect(new Set(statuses)).toEqual(new Set([204, 429]));
    expect(statuses.filter((status) => status === 204).length).toBeLessThan(60);
    const begun = performance.now();
    expect((await fetch(server.url('image.raw'))).status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(2000);
  });

  test('cannot fill a log with lines that nobody asked for', async () => {
    await using server = await RdpullServe.start(served.path);
    const lines = Array.from({ length: 60 }, (_, at) => ({
      event: 'server-awaited',
      at,
      message: `line ${at}`,
    }));
    for (let index = 0; index < 20; index++) await report(server, lines, { name: 'n' });
    await Bun.sleep(1100);
    const { stderr } = await server.stop();
    expect(told(stderr).length).toBeLessThan(200);
    expect(stderr).toMatch(/^rdpull: and \d+ more lines about machines$/m);
  });

  test('reaches no file, whatever its names are', async () => {
    served.write('SHA256SUMS', '');
    const before = run(['find', served.path, '-printf', '%p %s %T@ %m\n']).toString();
    await using server = await RdpullServe.start(served.path);
    // What it has opened, beside its sockets and pipes.
    const opened = () =>
      fs
        .readdirSync(`/proc/${server.child.pid}/fd`)
        .map((fd) => fs.readlinkSync(`/proc/${server.child.pid}/fd/${fd}`))
        .filter((file) => file.startsWith(served.path) || file.startsWith('/etc'));
    // At its start it looks at what is there.
    while (opened().length > 0) await Bun.sleep(20);
    for (const path of ['/etc/passwd', '../../etc/passwd', `${served.path}/image.raw`, '\0', '/dev/null']) {
      const event = { event: 'pull-finished', target: path, url: `file://${path}`, manifestUrl: path };
      expect(await report(server, [event], { name: path, serial: path, uki: `file://${path}` })).toBe(204);
    }
    expect(opened()).toEqual([]);
    expect(run(['find', served.path, '-printf', '%p %s %T@ %m\n']).toString()).toBe(before);
  });
});
