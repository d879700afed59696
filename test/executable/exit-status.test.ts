import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { type ErrorFamily, EXIT_STATUS } from '../../src/console/rdpull-error.ts';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
const target = new TemporaryDirectory();
let server: WebServer;

beforeAll(() => {
  const image = makeImage(served);
  const compressed = run(['xz', '-c', image]);
  served.write('image.raw.xz', compressed);
  served.write('short.raw.xz', compressed.subarray(0, -8));
  fs.mkdirSync(served.file('tree/usr/lib'), { recursive: true });
  served.write('tree/usr/lib/os-release', 'ID=rdpull-tree\n');
  run(['tar', '-czf', 'tree.tar.gz', '-C', 'tree', '.'], { cwd: served.path });
  run(['sh', '-c', 'sha256sum *.* > SHA256SUMS'], { cwd: served.path });
  target.write('taken.raw', 'precious');
  run(['mkfifo', served.file('fifo.raw')]);
  server = startWebServer(served.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  for (const each of [served, target]) each[Symbol.dispose]();
});

/** A URL of the server in the answers is written as `URL`, which is different in each run. */
const neutral = (text: string) => text.replaceAll(server.url, 'URL').replaceAll(target.path, 'TARGET');
const pull = (...args: string[]) => [
  'pull',
  `--image-root=${target.path}`,
  '--verify=no',
  '--patience=0',
  ...args,
];

interface Failure {
  readonly family: ErrorFamily;
  readonly code: string;
  readonly args: () => string[];
  /** What was said before the error. */
  readonly before?: string;
  readonly message: string;
  readonly hint: string;
}

const PLAIN_HTTP =
  'rdpull: warning: verify=no over plain http: whoever is on the network can put another image in place of this one\n';

const FAILURES: readonly Failure[] = [
  {
    family: 'usage',
    code: 'bad-option',
    args: () => pull('--type=zip', `${server.url}/image.raw`),
    message: '--type=zip is not valid',
    hint: 'valid are raw, tar, oci',
  },
  {
    family: 'network',
    code: 'connection-refused',
    args: () => pull('http://127.0.0.1:1/image.raw'),
    before: PLAIN_HTTP,
    message: 'http://127.0.0.1:1/image.raw: the connection was refused',
    hint: 'check that the web server runs, that the port is right, and that this machine has a route to it',
  },
  {
    family: 'http',
    code: 'http-not-found',
    args: () => pull(`${server.url}/missing.raw`),
    before: PLAIN_HTTP,
    message: 'URL/missing.raw: the server answers 404 Not Found',
    hint: 'check the name of the file, and that it lies in the directory that is served',
  },
  {
    family: 'decode',
    code: 'stream-truncated',
    args: () => pull('--verify=checksum', `${server.url}/short.raw.xz`),
    before: `rdpull: pulling URL/short.raw.xz (SIZE)\n`,
    message: 'URL/short.raw.xz: the xz stream ends too early',
    hint: 'the file on the server is damaged or incomplete: build or upload it again, and let a checksum file guard it',
  },
  {
    family: 'verify',
    code: 'checksum-mismatch',
    args: () => pull(`--verify=sha256:${'0'.repeat(64)}`, `${server.url}/image.raw.xz`),
    before: `rdpull: pulling URL/image.raw.xz (SIZE)\n`,
    message: `URL/image.raw.xz is not what was promised: its BYTES bytes have the SHA-256 DIGEST, but the request asks for ${'0'.repeat(64)}`,
    hint: 'check the digest in the request, and who may write to the server',
  },
  {
    family: 'storage',
    code: 'target-exists',
    args: () => pull('--local=taken', '--verify=checksum', `${server.url}/image.raw.xz`),
    message: 'TARGET/taken.raw exists already',
    hint: 'use it as it is (--keep, or rdpull attach), choose another name with --local=NAME, or replace it with --force',
  },
  {
    family: 'device',
    code: 'loop-not-attached',
    args: () => ['detach', target.file('taken.raw')],
    message: 'TARGET/taken.raw is not attached to a loop device',
    hint: 'see what is attached with: losetup -l',
  },
];

/** The figures of a file that is different in each run. */
const withoutFigures = (text: string) =>
  neutral(text)
    .replace(/\([\d.]+ (?:B|KiB)\)/, '(SIZE)')
    .replace(/its \d+ bytes have the SHA-256 [0-9a-f]{64}/, 'its BYTES bytes have the SHA-256 DIGEST');

describe.each(FAILURES.map((each) => ({ ...each, status: EXIT_STATUS[each.family] })))(
  'a failure of the $family family ends with $status',
  ({ status, code, args, before = '', message, hint }) => {
    const complaint = `rdpull: error: ${message}\nrdpull: try: ${hint}\n`;

    test('and says on standard error what failed, and what to try', async () => {
      const { stderr, ...rest } = await rdpull(args());
      expect(withoutFigures(stderr)).toBe(before + complaint);
      expect(rest).toEqual({ status, signal: undefined, stdout: '' });
    });

    test('with --quiet, too, and nothing else is said', async () => {
      const { stderr, ...rest } = await rdpull([...args(), '--quiet']);
      expect(withoutFigures(stderr)).toBe(complaint);
      expect(rest).toEqual({ status, signal: undefined, stdout: '' });
    });

    test('with --json, too, and standard output is the error as one document', async () => {
      const finished = await rdpull([...args(), '--json']);
      expect(finished.status).toBe(status);
      expect(withoutFigures(onlyLine(finished.stdout))).toBe(
        JSON.stringify({ error: { code, message, hint, exitStatus: status } }),
      );
    });
  },
);

/** The one line of `text`, without its end. */
function onlyLine(text: string): string {
  expect(text.split('\n')).toEqual([expect.any(String), '']);
  return text.trimEnd();
}

describe('success ends with 0', () => {
  /** What was made has to go before it can be made again. */
  const clear = () => run(['rm', '-rf', target.file('image.raw'), target.file('tree')]);
  const PULLS = [
    { what: 'a raw image', name: 'image.raw.xz', made: 'image.raw', format: 'raw' },
    { what: 'a tarball', name: 'tree.tar.gz', made: 'tree', format: 'tar' },
  ];

  test.each(PULLS)('--quiet: pulling $what prints its path, and not a word more', async ({ name, made }) => {
    clear();
    expect(await rdpull(pull('--quiet', `${server.url}/${name}`))).toEqual({
      status: 0,
      signal: undefined,
      stdout: `${target.file(made)}\n`,
      stderr: '',
    });
  });

  test.each(PULLS)('--json: pulling $what prints one document', async ({ name, made, format }) => {
    clear();
    const { status, stdout } = await rdpull(pull('--json', `${server.url}/${name}`));
    expect(status).toBe(0);
    const { size } = fs.statSync(served.file(name));
    expect(JSON.parse(onlyLine(stdout))).toEqual({
      target: target.file(made),
      url: `${server.url}/${name}`,
      received: size,
      decoded: expect.any(Number),
      entries: expect.any(Number),
      compression: name.endsWith('xz') ? 'xz' : 'gzip',
      format,
      sha256: run(['sha256sum', served.file(name)])
        .toString()
        .slice(0, 64),
      milliseconds: expect.any(Number),
    });
  });

  test('verify', async () => {
    const args = ['verify', '--verify=checksum', served.file('image.raw.xz')];
    const quiet = await rdpull([...args, '--quiet']);
    expect([quiet.status, quiet.stderr]).toEqual([0, '']);
    const json = await rdpull([...args, '--json']);
    expect(json.status).toBe(0);
    expect(JSON.parse(onlyLine(json.stdout))).toMatchObject({
      file: served.file('image.raw.xz'),
      promised: { manifestUrl: `file://${served.file('SHA256SUMS')}` },
    });
  });

  test('attach and detach', async () => {
    const image = served.file('image.raw');
    const attached = await rdpull(['attach', '--json', '--quiet', image]);
    const { device, fileSystem } = JSON.parse(onlyLine(attached.stdout));
    try {
      expect([attached.status, attached.stderr, fileSystem]).toEqual([0, '', 'ext4']);
    } finally {
      const detached = await rdpull(['detach', '--json', '--quiet', image]);
      expect([detached.status, detached.stderr]).toEqual([0, '']);
      expect(JSON.parse(onlyLine(detached.stdout))).toEqual({ device, backingFile: image });
    }
    const again = await rdpull(['attach', '--quiet', image]);
    expect([again.status, again.stderr, again.stdout]).toEqual([
      0,
      '',
      expect.stringMatching(/^\/dev\/loop\d+\n$/),
    ]);
    expect(await rdpull(['detach', '--quiet', image])).toEqual({
      status: 0,
      signal: undefined,
      stdout: '',
      stderr: '',
    });
  });
});

test('a named pipe is no image file, and nobody waits for it', async () => {
  const { status, stderr } = await rdpull(pull(`file://${served.file('fifo.raw')}`), {
    wrapper: ['timeout', '--signal=KILL', '5'],
  });
  expect(stderr).toBe(
    `rdpull: error: ${served.file('fifo.raw')} is not a regular file\nrdpull: try: name an image file\n`,
  );
  expect(status).toBe(14);
});

describe('a reader that goes away', () => {
  test.each([
    { what: 'standard error', redirect: '2>/dev/full' },
    { what: 'a pipe at standard error', redirect: '2> >(head -c 1 > /dev/null)' },
  ])('$what does not make a good pull fail', async ({ redirect }) => {
    using other = new TemporaryDirectory();
    const url = `${server.url}/image.raw.xz`;
    const { status, stdout } = await rdpull(
      ['pull', '--verify=checksum', `--image-root=${other.path}`, url],
      { wrapper: ['bash', '-c', `"$@" ${redirect}`, 'bash'] },
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${other.file('image.raw')}\n` });
  });

  test('at standard error leaves the exit status of a failure as it is', async () => {
    const { status } = await rdpull(pull('http://127.0.0.1:1/image.raw'), {
      wrapper: ['bash', '-c', '"$@" 2>/dev/full', 'bash'],
    });
    expect(status).toBe(EXIT_STATUS.network);
  });

  test.each([[['--version']], [['status', '--json']]])(
    'a result that cannot be written is an error, said as one: %p',
    async (args) => {
      const { status, stderr } = await rdpull(args, { wrapper: ['bash', '-c', '"$@" >/dev/full', 'bash'] });
      expect(stderr).toMatch(
        /^rdpull: error: the result cannot be written to standard output: .*\nrdpull: try: .*\n$/,
      );
      expect(status).toBe(EXIT_STATUS.storage);
    },
  );
});

describe('switches before the command', () => {
  test('count for the command', async () => {
    const { stdout, status } = await rdpull(['--json', '--quiet', 'pull', '--verify=maybe', 'http://h/x']);
    expect(JSON.parse(stdout).error.code).toBe('bad-option');
    expect(status).toBe(EXIT_STATUS.usage);
  });

  test('alone are no command', async () => {
    const { stderr } = await rdpull(['--verbose']);
    expect(stderr).toStartWith('rdpull: error: no command was given\n');
  });
});
