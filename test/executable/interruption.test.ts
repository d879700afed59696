import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { finished, startRdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { type SlowServer, startSlowServer } from '../fixtures/slow-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** How long a whole transfer would take, in ms, and how soon an interrupted one has to be gone. */
const SLOW = 10_000;
const SOON = 2000;

const work = new TemporaryDirectory();
const servers = new Map<string, SlowServer>();

beforeAll(async () => {
  const noise = noiseOf(8 * 1024 * 1024);
  for (const name of ['one', 'two']) {
    fs.mkdirSync(work.file('tree/usr/lib'), { recursive: true });
    work.write(`tree/usr/lib/${name}`, noise);
  }
  const archive = run(['tar', '-cC', work.file('tree'), '.']);
  servers.set('image.raw', await startSlowServer(noise, SLOW));
  servers.set('image.raw.xz', await startSlowServer(run(['xz', '-0'], { input: noise }), SLOW));
  servers.set('tree.tar', await startSlowServer(archive, SLOW));
  servers.set('tree.tar.zst', await startSlowServer(run(['zstd', '-q'], { input: archive }), SLOW));
});
afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
  work[Symbol.dispose]();
});

/** Waits until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  for (const begun = performance.now(); !condition(); await Bun.sleep(10)) {
    if (performance.now() - begun > 10_000) throw new Error(`waited too long until ${condition}`);
  }
}

/** Whether there are bytes of an image, or members of a tarball, below `directory`. */
function someArrived(directory: string): boolean {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .some((entry) => entry.isFile() && fs.statSync(path.join(entry.parentPath, entry.name)).size > 0);
}

describe.each(SIGNALS)('%s in the middle of a pull', (signal) => {
  test.each(['image.raw', 'image.raw.xz', 'tree.tar', 'tree.tar.zst'])(
    'of %s ends it at once, and nothing is left',
    async (name) => {
      using target = new TemporaryDirectory();
      const url = `${servers.get(name)?.url}/${name}`;
      const child = startRdpull(['pull', '--verify=no', `--image-root=${target.path}`, url]);
      await until(() => someArrived(target.path));
      expect(target.names()).toEqual([expect.stringMatching(/^\.#rdpull-/)]);

      const sent = performance.now();
      child.kill(signal);
      const outcome = await finished(child);
      expect(outcome).toMatchObject({ status: undefined, signal, stdout: '' });
      expect(outcome.stderr).toEndWith(
        `\nrdpull: warning: interrupted by ${signal}; no unfinished image was left behind\n`,
      );
      expect(performance.now() - sent).toBeLessThan(SOON);
      expect(target.names()).toEqual([]);
    },
  );
});

/** A signal that is ignored, by nohup(1) for example, and one that is not. */
test.each([
  ['SIGHUP', 'SIGTERM'],
  ['SIGINT', 'SIGTERM'],
  ['SIGTERM', 'SIGINT'],
] as const)('%s does nothing where it was ignored from the start', async (ignored, heeded) => {
  using target = new TemporaryDirectory();
  const url = `${servers.get('image.raw')?.url}/image.raw`;
  const wrapper = ['env', `--ignore-signal=${ignored}`];
  const child = startRdpull(['pull', '--verify=no', `--image-root=${target.path}`, url], { wrapper });
  await until(() => someArrived(target.path));
  child.kill(ignored);
  await Bun.sleep(200);
  child.kill(heeded);
  const { signal, stderr } = await finished(child);
  expect(signal).toBe(heeded);
  expect(stderr).toEndWith(
    `\nrdpull: warning: interrupted by ${heeded}; no unfinished image was left behind\n`,
  );
  expect(stderr).not.toContain(ignored);
});

test('a signal while a server keeps silent ends the pull at once', async () => {
  using target = new TemporaryDirectory();
  const connections = new Set<net.Socket>();
  const server = net.createServer((socket) => connections.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(server.address() as net.AddressInfo).port}/image.raw`;
    const child = startRdpull(['pull', '--verify=checksum', '--quiet', `--image-root=${target.path}`, url]);
    await until(() => connections.size > 0);
    const sent = performance.now();
    child.kill('SIGTERM');
    const outcome = await finished(child);
    expect(outcome).toEqual({ status: undefined, signal: 'SIGTERM', stdout: '', stderr: '' });
    expect(performance.now() - sent).toBeLessThan(SOON);
    expect(target.names()).toEqual([]);
  } finally {
    for (const socket of connections) socket.destroy();
    server.close();
  }
});

test('a signal while gigabytes of zeros are decoded ends the pull at once', async () => {
  using target = new TemporaryDirectory();
  const zeros = work.file('zeros.raw.zst');
  const frame = work.file('frame.zst');
  run(['sh', '-c', 'head -c 1G /dev/zero | zstd -q -1 >"$1"', 'sh', frame]);
  run(['sh', '-c', 'for _ in $(seq 32); do cat "$1"; done >"$2"', 'sh', frame, zeros]);
  const child = startRdpull([
    'pull',
    '--verify=no',
    '--overcommit',
    '--limit=ratio=100000',
    `--image-root=${target.path}`,
    `file://${zeros}`,
  ]);
  await until(
    () => target.names().length > 0 && fs.existsSync(target.file(`${target.names()[0]}`, 'object')),
  );
  await Bun.sleep(500);
  const sent = performance.now();
  child.kill('SIGTERM');
  expect(await finished(child)).toMatchObject({ status: undefined, signal: 'SIGTERM' });
  expect(performance.now() - sent).toBeLessThan(SOON);
  expect(target.names()).toEqual([]);
});

test('where no signal can end it, in the first process of a container, its status says which one came', async () => {
  using target = new TemporaryDirectory();
  const url = `${servers.get('image.raw')?.url}/image.raw`;
  const wrapper = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const child = startRdpull(['pull', '--verify=no', `--image-root=${target.path}`, url], { wrapper });
  await until(() => someArrived(target.path));
  const [first] = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ');
  process.kill(Number(first), 'SIGTERM');
  const { status, stderr } = await finished(child);
  expect(stderr).toContain('interrupted by SIGTERM');
  expect(status).toBe(128 + 15);
  expect(target.names()).toEqual([]);
});

test('a signal while a large local file is read ends rdpull verify at once', async () => {
  const large = work.file('large.raw');
  run(['truncate', '-s', '8G', large]);
  const child = startRdpull(['verify', `--verify=sha256:${'0'.repeat(64)}`, large]);
  await Bun.sleep(500);
  const sent = performance.now();
  child.kill('SIGTERM');
  const { signal, stdout } = await finished(child);
  expect({ signal, stdout }).toEqual({ signal: 'SIGTERM', stdout: '' });
  expect(performance.now() - sent).toBeLessThan(SOON);
});
