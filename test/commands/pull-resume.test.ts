import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { pull } from '../../src/commands/pull.ts';
import { patience } from '../../src/commands/pull-arguments.ts';
import { freePort, untilListening } from '../fixtures/daemon.ts';
import { type Finished, finished, finishedAfter, rdpull, startRdpull } from '../fixtures/executable.ts';
import { type FaultCall, sendFile, startFaultServer } from '../fixtures/fault-server.ts';
import { startNginx } from '../fixtures/nginx.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { NotifyServer } from '../fixtures/notify-server.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
const served = new TemporaryDirectory();
let content: Buffer;

beforeAll(() => {
  content = noiseOf(32 * MIB);
  const image = served.write('image.raw', content);
  // Slow to unpack, so that a server can be ended in the middle.
  run(['bzip2', '-1', '-k', image]);
  served.write('SHA256SUMS', run(['sha256sum', 'image.raw', 'image.raw.bz2'], { cwd: served.path }));
});
afterAll(() => served[Symbol.dispose]());

/** Pulls `url`, and calls `strike` once a quarter of the image is there. */
async function struck(url: string, strike: () => Promise<void>, ...options: string[]): Promise<Finished> {
  using target = new TemporaryDirectory();
  const running = startRdpull(['pull', `--image-root=${target.path}`, ...options, url]);
  const written = () =>
    fs
      .readdirSync(target.path, { recursive: true, encoding: 'utf8' })
      .map((name) => fs.statSync(target.file(name), { throwIfNoEntry: false }))
      .reduce((sum, stat) => sum + (stat?.isFile() === true ? stat.size : 0), 0);
  while (running.exitCode === null && written() < content.length / 4) await Bun.sleep(5);
  await strike();
  const end = await finished(running);
  expect({ status: end.status, stderr: end.stderr, names: target.names() }).toEqual({
    status: 0,
    stderr: end.stderr,
    names: ['image.raw'],
  });
  expect(fs.readFileSync(target.file('image.raw')).equals(content)).toBe(true);
  return end;
}

async function startPython(port: number): Promise<Bun.Subprocess> {
  const child = Bun.spawn(
    ['python3', '-m', 'http.server', '--bind', '127.0.0.1', '--directory', served.path, String(port)],
    { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
  );
  await untilListening(port);
  return child;
}

async function kill(child: Bun.Subprocess): Promise<void> {
  child.kill('SIGKILL');
  await child.exited;
}

describe('a server that is killed in the middle of the image and started again', () => {
  test.each(['--verify=no', '--verify=checksum'])(
    'python3 -m http.server, which sends no parts: %s',
    async (verify) => {
      const port = await freePort();
      let server = await startPython(port);
      try {
        const { stderr } = await struck(
          `http://127.0.0.1:${port}/image.raw.bz2`,
          async () => {
            await kill(server);
            await Bun.sleep(1000);
            server = await startPython(port);
          },
          verify,
        );
        expect(stderr).toMatch(/; resuming at byte \d+ of \d+ in \d\.\d s\n/);
        expect(stderr).toContain('the server sends the whole file again; its first ');
      } finally {
        await kill(server);
      }
    },
  );

  test('nginx, which sends the rest alone', async () => {
    const directives = 'limit_rate 16m;';
    let server = await startNginx(served.path, { directives });
    const { port } = server;
    try {
      const { stderr } = await struck(
        `${server.url}/image.raw`,
        async () => {
          await server[Symbol.asyncDispose]();
          await Bun.sleep(1000);
          server = await startNginx(served.path, { port, directives });
        },
        '--verify=checksum',
      );
      expect(stderr).toMatch(/; resuming at byte \d+ of 33554432 in \d\.\d s\n/);
      expect(stderr).not.toContain('sends the whole file again');
    } finally {
      await server[Symbol.asyncDispose]();
    }
  });

  test('nginx, with python3 -m http.server as its mirror', async () => {
    const port = await freePort();
    const mirror = await startPython(port);
    const server = await startNginx(served.path, { directives: 'limit_rate 16m;' });
    try {
      const { stderr } = await struck(
        `${server.url}/image.raw`,
        async () => {
          await server[Symbol.asyncDispose]();
        },
        '--verify=checksum',
        `--mirror=http://127.0.0.1:${port}/image.raw`,
      );
      expect(stderr).toMatch(
        new RegExp(
          `the connection was refused; resuming at byte \\d+ of 33554432 from http://127.0.0.1:${port}/image.raw\n`,
        ),
      );
    } finally {
      await kill(mirror);
    }
  });
});

describe('a name', () => {
  test.each(['127.0.0.9 moving.example', ''])(
    'that leads elsewhere meanwhile is looked up again: %p',
    async (before) => {
      using target = new TemporaryDirectory();
      const hosts = target.write('hosts', `${before}\n`);
      await using server = await startFaultServer((call) =>
        sendFile(call, Buffer.from('a very small image')),
      );
      const running = startRdpull(
        [
          'pull',
          '--verify=no',
          `--image-root=${target.file('images')}`,
          `${server.url.replace('127.0.0.1', 'moving.example')}/image.raw`,
        ],
        { wrapper: ['unshare', '-m', 'sh', '-c', `mount --bind ${hosts} /etc/hosts && exec "$@"`, 'sh'] },
      );
      const { status, stderr } = await finishedAfter(running, '; trying again in', () =>
        fs.writeFileSync(hosts, '127.0.0.1 moving.example\n'),
      );
      expect({ status, stderr }).toEqual({ status: 0, stderr });
      expect(stderr).toContain('; trying again in 0.');
    },
  );
});

describe('mirrors', () => {
  const missing = (call: FaultCall) => call.send('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
  const SMALL = Buffer.from('a very small image');

  test('are taken from options and from the expression; each login goes to its own server', async () => {
    using target = new TemporaryDirectory();
    await using first = await startFaultServer(missing);
    await using second = await startFaultServer(missing);
    await using third = await startFaultServer((call) => sendFile(call, SMALL));
    const withLogin = (url: string, login: string) => `${url.replace('//', `//${login}@`)}/image.raw`;
    const { status, stderr, stdout } = await rdpull([
      'pull',
      `--image-root=${target.path}`,
      `--mirror=${withLogin(third.url, 'three:secret3')}`,
      `raw,machine,verify=no,mirror=${second.url}/image.raw:root:${withLogin(first.url, 'one:secret1')}`,
    ]);
    expect(status).toBe(0);
    expect(stdout).toBe(`${target.file('root.raw')}\n`);
    expect(stderr).toContain(
      `${first.url}/image.raw: the server answers 404 Not Found; trying again from ${second.url}/image.raw\n`,
    );
    expect(stderr).not.toContain('secret');
    const logins = [first, second, third].map(
      ({ requests }) => /^authorization: (.*)\r$/im.exec(requests[0] ?? '')?.[1],
    );
    const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;
    expect(logins).toEqual([basic('one:secret1'), undefined, basic('three:secret3')]);
  });

  test('are what is left when nothing lies beside the UKI, or a placeholder stands for nothing', async () => {
    using target = new TemporaryDirectory();
    await using server = await startFaultServer((call) => sendFile(call, SMALL));
    const { status, stderr } = await rdpull(
      [
        'pull',
        `--image-root=${target.path}`,
        '--verify=no',
        '--mirror=http://127.0.0.1:9/{serial}.raw',
        `--mirror=${server.url}/image.raw`,
        '--patience=0',
        'http://127.0.0.1:9/image.raw',
      ],
      { wrapper: ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs tmpfs /sys/class && exec "$@"', 'sh'] },
    );
    expect(status).toBe(0);
    expect(stderr).toContain('rdpull: warning: the mirror http://127.0.0.1:9/{serial}.raw is left out: ');
  });

  test('that are none are refused before anything is done', async () => {
    const { status, stderr } = await rdpull(['pull', '--mirror=ftp://m/x', 'http://127.0.0.1:9/image.raw']);
    expect(status).toBe(2);
    expect(stderr).toStartWith(
      'rdpull: error: --mirror=ftp://m/x does not start with http://, https:// or file:/\n',
    );
  });
});

describe('patience', () => {
  const ofLine = (isInitrd: boolean, ...args: string[]) =>
    patience(parseCommandLine(pull, [...args, 'http://h/x']), isInitrd);

  test('is five minutes in an initrd, half a minute elsewhere, or what was asked for', () => {
    expect(ofLine(true)).toBe(300_000);
    expect(ofLine(false)).toBe(30_000);
    expect(ofLine(true, '--patience=0')).toBe(0);
    expect(ofLine(false, '--patience=7')).toBe(7000);
  });

  test.each([0, 100])('ends with a signal, at once: waiting behind %p bytes', async (after) => {
    using target = new TemporaryDirectory();
    await using server = await startFaultServer((call) =>
      call.number === 0 && after > 0
        ? sendFile(call, content, { headers: { ETag: '"a"' }, stop: { after, by: 'end' } })
        : call.send('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n'),
    );
    const running = startRdpull([
      'pull',
      '--verify=no',
      '--patience=100',
      `--image-root=${target.path}`,
      `${server.url}/image.raw`,
    ]);
    while (server.requests.length < (after > 0 ? 2 : 1)) await Bun.sleep(10);
    await Bun.sleep(300);
    const sent = performance.now();
    running.kill('SIGTERM');
    const { signal } = await finished(running);
    expect(signal).toBe('SIGTERM');
    expect(performance.now() - sent).toBeLessThan(10_000);
    expect(target.names()).toEqual([]);
  });

  test('is shown to the service manager, which waits as well', async () => {
    using target = new TemporaryDirectory();
    const address = target.file('notify');
    await using manager = await NotifyServer.listen(address);
    await using server = await startFaultServer((call) =>
      call.number === 0
        ? call.send('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n')
        : sendFile(call, Buffer.from('a very small image')),
    );
    const { status } = await rdpull(
      ['pull', '--verify=no', `--image-root=${target.file('images')}`, `${server.url}/image.raw`],
      { env: { NOTIFY_SOCKET: address } },
    );
    expect(status).toBe(0);
    const [waiting] = await manager.received((all) => all.at(-1)?.startsWith('READY=1\n') === true);
    expect(waiting).toBe(
      `STATUS=${server.url}/image.raw: the server answers 503 Service Unavailable; trying again in 1.0 s\nEXTEND_TIMEOUT_USEC=361000000`,
    );
  });
});
