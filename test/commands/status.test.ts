import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { finished, finishedAfter, type RunOptions, rdpull, startRdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { makeImage, writeChecksums } from '../fixtures/served-image.ts';
import { type SlowServer, startSlowServer } from '../fixtures/slow-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
let server: WebServer;
let slow: SlowServer;
let target: TemporaryDirectory;
/** What the commands of one test have as /run. */
let options: RunOptions;

beforeAll(async () => {
  makeImage(served, 'image.raw');
  writeChecksums(served);
  server = startWebServer(served.path);
  slow = await startSlowServer(fs.readFileSync(served.file('image.raw')), 8000);
});
beforeEach(() => {
  target = new TemporaryDirectory();
  for (const name of ['run/systemd/generator', 'images', 'mount']) {
    fs.mkdirSync(target.file(name), { recursive: true });
  }
  const script = `mount --bind ${target.file('run')} /run; exec "$@"`;
  options = { wrapper: ['unshare', '-m', '--propagation', 'private', 'sh', '-c', script, 'sh'] };
});
afterEach(() => target[Symbol.dispose]());
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await slow[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

const pull = (...args: string[]) => [
  'pull',
  `--image-root=${target.file('images')}`,
  '--patience=0',
  ...args,
];

/** What `rdpull status` says, with what differs between two runs replaced. */
async function status(...args: string[]): Promise<{ status: number | undefined; text: string }> {
  const { stdout, stderr, status } = await rdpull(['status', ...args], options);
  const text = (stdout + stderr)
    .replaceAll(target.path, 'DIR')
    .replaceAll(served.path, 'SERVED')
    .replaceAll(server.url, 'http://h')
    .replaceAll(slow.url, 'http://slow')
    .replaceAll(/\/dev\/loop\d+/g, '/dev/loopN')
    .replaceAll(/^ {2}time {6}.*\n(?: {12}.*\n)*/gm, '  time      ...\n')
    .replaceAll(/process \(\d+\)/g, 'process (PID)');
  return { status, text };
}

/** The one transfer of `rdpull status --json`. */
async function transfer(): Promise<Record<string, unknown>> {
  const { stdout } = await rdpull(['status', '--json'], options);
  const { transfers } = JSON.parse(stdout) as { transfers: Record<string, unknown>[] };
  expect(transfers).toHaveLength(1);
  return transfers[0] ?? {};
}

test('nothing was pulled: it says where it looked', async () => {
  expect(await status()).toEqual({
    status: 0,
    text: 'rdpull: no pull has begun in this boot, and none is planned: nothing in /run/rdpull/transfers, and no rdpull@*.service in /run/systemd/generator.early, /run/systemd/generator, /run/systemd/generator.late\n',
  });
});

describe('an image that was pulled', () => {
  test('is shown with its size, what vouched for it, and its loop device; later, that it was detached', async () => {
    const image = target.file('images/image.raw');
    const pulled = await rdpull(pull('--verify=checksum', '--blockdev', `${server.url}/image.raw`), options);
    expect(pulled.status).toBe(0);
    expect(await status()).toEqual({
      status: 0,
      text: `done        DIR/images/image.raw
  source    http://h/image.raw
  size      8.0 MiB received, 8.0 MiB written
  time      ...
  verified  by http://h/SHA256SUMS, which nobody had to sign
  device    /dev/loopN
`,
    });
    expect((await rdpull(['detach', image], options)).status).toBe(0);
    expect((await status()).text).toContain('  now       /dev/loopN has it no more: it was detached since\n');
    fs.rmSync(image);
    expect((await status('image')).text).toMatch(/the image itself\s+is gone/);
    expect((await status('other')).text).toStartWith('rdpull: no such pull has begun');
  });

  test('is left out once it is gone, but not what has failed; --all shows it last, and JSON always', async () => {
    await rdpull(pull('--verify=no', `${server.url}/image.raw`), options);
    const { stdout: one } = await rdpull(['status'], options);
    expect(one).toStartWith('done ');
    fs.rmSync(target.file('images/image.raw'));
    await rdpull(pull('--verify=no', `${server.url}/missing.raw`), options);
    const outcome = await status();
    expect(outcome.text).not.toContain('images/image.raw');
    expect(outcome.text).toStartWith('failed      DIR/images/missing.raw\n');
    expect(outcome.text).toEndWith('rdpull: one more pull, whose image is gone since: --all shows it\n');
    const { text: all } = await status('--all');
    expect(all.match(/^(?:failed|done) .*$/gm)).toEqual([
      'failed      DIR/images/missing.raw',
      'done        DIR/images/image.raw',
    ]);
    const { stdout } = await rdpull(['status', '--json'], options);
    expect((JSON.parse(stdout) as { transfers: unknown[] }).transfers).toHaveLength(2);
  });

  test('has the time it took, and when, on both clocks', async () => {
    await rdpull(pull('--verify=no', `${server.url}/image.raw`), options);
    const { stdout } = await rdpull(['status'], options);
    expect(stdout).toMatch(
      /^ {2}time {6}\d.*?; begun\s+\d.*?\s+after\s+the\s+boot,\s+\d{4}-\d\d-\d\d\s+\d\d:\d\d:\d\d\s+UTC$/ms,
    );
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(
      Math.max(
        80,
        ...stdout
          .split('\n')
          .filter((line) => line.includes('/'))
          .map((line) => line.length),
      ),
    );
  });

  test('is shown as kept by --keep', async () => {
    fs.copyFileSync(served.file('image.raw'), target.file('images/image.raw'));
    await rdpull(pull('--keep', '--verify=no', `${server.url}/image.raw`), options);
    expect((await status()).text).toStartWith(
      'kept        DIR/images/image.raw\n  source    http://h/image.raw\n',
    );
  });

  test('keeps its record when somebody tries to pull it again, and may not', async () => {
    const args = pull('--verify=no', `${server.url}/image.raw`);
    await rdpull(args, options);
    expect((await rdpull(args, options)).status).toBe(14);
    expect(await transfer()).toMatchObject({ state: 'done', received: 8 * 1024 * 1024 });
  });

  test('has the digest that it was held against, and with verify=no only for who asks', async () => {
    const image = `${server.url}/image.raw`;
    const digest = run(['sha256sum', served.file('image.raw')])
      .toString()
      .slice(0, 64);
    for (const [args, sha256] of [
      [['--verify=no'], undefined],
      [['--verify=no', '--verbose'], digest],
      [[`--verify=sha256:${digest}`], digest],
    ] as const) {
      expect((await rdpull(pull('--force', ...args, image), options)).status).toBe(0);
      expect((await transfer())['sha256']).toBe(sha256);
    }
  });

  test('has no login of its URL in any record', async () => {
    const { host } = new URL(server.url);
    const args = pull('--verify=no', `http://somebody:secret@${host}/image.raw`);
    await rdpull(args, options);
    const [record = ''] = fs.readdirSync(target.file('run/rdpull/transfers'));
    const text = fs.readFileSync(target.file(`run/rdpull/transfers/${record}`), 'utf8');
    expect(text).toContain(`"url":"${server.url}/image.raw"`);
    expect(text).not.toContain('secret');
    expect(text).not.toContain('somebody');
  });
});

describe('a pull that has failed', () => {
  test('is shown with the reason, what to try, and the command that does it again', async () => {
    const args = pull('--boot-screen', '--verify=no', `${server.url}/missing.raw`);
    expect((await rdpull(args, options)).status).toBe(11);
    expect(await status()).toEqual({
      status: 11,
      text: expect.stringMatching(
        /^failed {6}DIR\/images\/missing\.raw\n {2}source {4}http:\/\/h\/missing\.raw\n {2}time {6}\.\.\.\n {2}verified {2}no; asked for: verify=no\n {2}why {7}http:\/\/h\/missing\.raw: the server answers 404.*\n {2}try {7}.*\n {2}retry {5}rdpull pull --image-root=DIR\/images --patience=0 --verify=no http:\/\/h\/missing\.raw\n$/s,
      ),
    });
    expect(await transfer()).toMatchObject({ state: 'failed', error: { code: 'http-not-found' } });
  });

  test('because the image is another one, says so', async () => {
    const digest = '0'.repeat(64);
    await rdpull(pull(`--verify=sha256:${digest}`, `${server.url}/image.raw`), options);
    const { text, status: exitStatus } = await status();
    expect(exitStatus).toBe(13);
    expect(text).toContain(`verify=sha256:${digest}`);
    expect(await transfer()).toMatchObject({ state: 'failed', exists: false });
  });
});

describe('a pull on its way', () => {
  test('shows how far it is, to others, and afterwards that it was killed', async () => {
    const child = startRdpull(pull('--verify=no', `${slow.url}/image.raw`), options);
    const ended = finished(child);
    let last: Record<string, unknown> = {};
    while (!(Number(last['received']) > 0) && child.exitCode === null) {
      const { stdout } = await rdpull(['status', '--json'], options);
      last = (JSON.parse(stdout) as { transfers: Record<string, unknown>[] }).transfers[0] ?? {};
    }
    expect(last).toMatchObject({ state: 'running', total: 8 * 1024 * 1024, exists: false });
    expect(await status()).toMatchObject({
      status: 0,
      text: expect.stringMatching(/^running {5}DIR\/images\/image\.raw\n.* received \(\d+ %\)\n/s),
    });
    process.kill(child.pid, 'SIGKILL');
    await ended;
    expect(await status()).toMatchObject({
      status: 15,
      text: expect.stringMatching(/^killed.*its process \(PID\) was killed.*retry {5}rdpull pull /s),
    });
  });

  test('that was told to stop says so', async () => {
    const child = startRdpull(pull('--verify=no', `${slow.url}/image.raw`), options);
    await finishedAfter(child, 'pulling', () => void process.kill(child.pid, 'SIGTERM'));
    expect(await status()).toMatchObject({ status: 15, text: expect.stringMatching(/^stopped /) });
  });
});

describe('what the generator has planned', () => {
  test('is shown before its unit has begun', async () => {
    const env = {
      SYSTEMD_PROC_CMDLINE: 'rd.systemd.pull=raw,machine,verify=no,blockdev:root:http://h/%7Ea%20b.raw',
      SYSTEMD_IN_INITRD: 'yes',
    };
    await rdpull(['generate', target.file('run/systemd/generator')], { env });
    const { status: exitStatus, text } = await status();
    expect(exitStatus).toBe(0);
    expect(text).toMatch(/^planned {5}\/run\/machines\/root\.raw\n {2}source {4}http:\/\/h\/%7Ea%20b\.raw\n/);
    expect(text).toContain(
      '  why       it has not begun\n  unit      rdpull@run-machines-root.raw.service\n',
    );
    expect(text).toContain(
      '  retry     rdpull pull --type=raw --class=machine --local=root --image-root=/run/machines',
    );
    expect(text).not.toContain('--boot-screen');
  });

  test('is shown of a disk that stays on its server, and what attaches it; what has failed of it, without sizes', async () => {
    const nqn = 'nqn.2023-10.io.systemd:storagetm.0123456789abcdef0123456789abcdef.image.raw';
    const env = {
      SYSTEMD_PROC_CMDLINE: `rd.systemd.pull=raw,machine,verify=no:root:nvme+tcp://h.invalid/${nqn}`,
      SYSTEMD_IN_INITRD: 'yes',
    };
    await rdpull(['generate', target.file('run/systemd/generator')], { env });
    const planned = await status();
    expect(planned.text).toMatch(
      new RegExp(`^planned {5}/run/machines/root\\.raw\n {2}source +nvme\\+tcp://h\\.invalid/${nqn}\n`),
    );
    const command = `rdpull attach --loop-ref=root.raw --root-link=/run/rdpull/root --patience=300 nvme+tcp://h.invalid/${nqn}`;
    expect(planned.text).toContain(`  retry     ${command}\n`);

    const attach = ['attach', '--patience=0', '--loop-ref=root.raw', 'nvme+tcp://127.0.0.1:1'];
    await rdpull(attach, { ...options, env: { SYSTEMD_IN_INITRD: 'yes' } });
    const failed = await status();
    expect(failed.status).not.toBe(0);
    expect(failed.text).toMatch(
      /^failed {6}\/run\/machines\/root\.raw\n {2}source +nvme\+tcp:\/\/127\.0\.0\.1:1\n {2}time/,
    );
    expect(failed.text).toContain(
      '  retry     rdpull attach --patience=0 --loop-ref=root.raw nvme+tcp://127.0.0.1:1\n',
    );
  });

  test('and has been started without a word is unknown', async () => {
    const env = {
      SYSTEMD_PROC_CMDLINE: 'rd.systemd.pull=raw,machine::http://h/a.raw',
      SYSTEMD_IN_INITRD: 'yes',
    };
    await rdpull(['generate', target.file('run/systemd/generator')], { env });
    fs.mkdirSync(target.file('run/systemd/units'));
    fs.symlinkSync(
      '0'.repeat(32),
      target.file('run/systemd/units/invocation:rdpull@run-machines-a.raw.service'),
    );
    expect((await status()).text).toMatch(/^unknown.*journalctl -u\s+rdpull@run-machines-a\.raw\.service/s);
  });
});

describe('records that are not as they should be', () => {
  test.each([
    ['garbage', 'garbage', 'it is not JSON'],
    ['of another kind', '{"state":"flying"}', 'process is no object'],
    ['much too long', 'x'.repeat(70_000), 'it has 70000 bytes, more than a record can have'],
  ])('%s: they are named, and the others shown', async (_, text, defect) => {
    await rdpull(pull('--verify=no', `${server.url}/image.raw`), options);
    fs.writeFileSync(target.file('run/rdpull/transfers/0.json'), text);
    const shown = await status();
    expect(shown.status).toBe(0);
    expect(shown.text).toContain('done        DIR/images/image.raw\n');
    expect(shown.text.replaceAll(/\s+/g, ' ')).toContain(
      `unreadable the record /run/rdpull/transfers/0.json: ${defect}`,
    );
  });

  test('what is in them reaches no terminal as it is', async () => {
    await rdpull(pull('--verify=no', `${server.url}/missing.raw`), options);
    const [name = ''] = fs.readdirSync(target.file('run/rdpull/transfers'));
    const file = target.file(`run/rdpull/transfers/${name}`);
    const record = JSON.parse(fs.readFileSync(file, 'utf8')) as Record<string, object>;
    const bad = 'a\x1b[2Jb\u202e';
    fs.writeFileSync(
      file,
      JSON.stringify({
        ...record,
        target: bad,
        url: bad,
        unit: bad,
        error: { ...record['error'], message: bad, hint: bad },
        command: [bad],
      }),
    );
    const { text } = await status();
    expect(text).toContain('failed');
    expect(text).not.toMatch(/[\x1b\u202e]/);
  });
});

test('a pull goes well where no record can be written', async () => {
  fs.mkdirSync(target.file('run/rdpull'));
  fs.writeFileSync(target.file('run/rdpull/transfers'), 'no directory');
  const pulled = await rdpull(pull('--verify=no', '--verbose', `${server.url}/image.raw`), options);
  expect(pulled.status).toBe(0);
  expect(pulled.stderr).toContain('rdpull status will not know of this pull: ');
  expect(pulled.stderr.match(/will not know/g)).toHaveLength(1);
});

test('more than 200 records are not kept: the oldest go', async () => {
  const directory = target.file('run/rdpull/transfers');
  fs.mkdirSync(directory, { recursive: true });
  for (let number = 0; number < 250; number++) {
    fs.writeFileSync(`${directory}/${number}.json`, '{}');
    fs.utimesSync(`${directory}/${number}.json`, number, number);
  }
  await rdpull(pull('--verify=no', `${server.url}/image.raw`), options);
  const names = fs.readdirSync(directory);
  expect(names).toHaveLength(201);
  expect(names).not.toContain('49.json');
  expect(names).toContain('50.json');
});
