import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const BUN = path.resolve(import.meta.dir, '../../node_modules/.bin/bun');

/** What rdpull is to work on, from two directories: an empty one, and one that is full of traps. */
const work = new TemporaryDirectory();
const empty = new TemporaryDirectory();
const trapped = new TemporaryDirectory();
const content = Buffer.from('an image\n'.repeat(100_000));

/** Each of them changes what rdpull prints when it is really in the environment. */
const ENVIRONMENT = {
  JOURNAL_STREAM: '8:1',
  SSL_CERT_FILE: '/nonexistent/from-dotenv.pem',
  SYSTEMD_OPENPGP_KEYRING: '/nonexistent/from-dotenv.pgp',
};

beforeAll(() => {
  work.write('image.raw.xz', run(['xz'], { input: content }));
  run(['sh', '-c', 'sha256sum image.raw.xz > SHA256SUMS'], { cwd: work.path });

  const dotenv = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}\n`);
  for (const name of ['.env', '.env.local', '.env.production', '.env.development']) {
    trapped.write(name, dotenv.join(''));
  }
  trapped.write('trap.js', 'console.log("TRAPPED"); console.error("TRAPPED");\n');
  trapped.write('bunfig.toml', 'preload = ["./trap.js"]\nlogLevel = "debug"\n');
  trapped.write('package.json', '{"name":"trap","type":"commonjs","main":"./trap.js"}\n');
  trapped.write('tsconfig.json', '{"compilerOptions":{"baseUrl":".","paths":{"openpgp":["./trap.js"]}}}\n');
  for (const name of ['main.ts', 'main.js', 'worker.ts', 'worker.js'])
    trapped.write(name, 'import "./trap.js"');
  for (const name of ['openpgp', 'pkijs', 'asn1js', 'fastest-levenshtein']) {
    fs.mkdirSync(trapped.file('node_modules', name), { recursive: true });
    trapped.write(`node_modules/${name}/package.json`, `{"name":"${name}","main":"../../trap.js"}`);
  }
});
afterAll(() => {
  for (const each of [work, empty, trapped]) each[Symbol.dispose]();
});

const IMAGE = 'image.raw.xz';
const COMMANDS = {
  version: ['--version'],
  'a misspelling': ['pull', '--typ=raw', 'http://127.0.0.1:1/x'],
  'a pull over https': [
    'pull',
    `--image-root=${work.path}`,
    '--verify=no',
    '--patience=0',
    'https://127.0.0.1:1/x',
  ],
  'the system keyring': ['verify', work.file(IMAGE)],
  'a pull from a file': [
    'pull',
    '--verify=checksum',
    '--quiet',
    '--force',
    `--image-root=${work.path}`,
    `file://${work.file(IMAGE)}`,
  ],
};

describe('what lies in the current directory changes nothing', () => {
  test.each(Object.entries(COMMANDS))('%s', async (_, args) => {
    const elsewhere = await rdpull(args, { cwd: empty.path });
    expect(await rdpull(args, { cwd: trapped.path })).toEqual(elsewhere);
    expect(elsewhere.stdout + elsewhere.stderr).not.toContain('TRAPPED');
  });

  test('an image pulled over http', async () => {
    await using server = startWebServer(work.path);
    const { status, stdout, stderr } = await rdpull(
      [
        'pull',
        '--verify=checksum',
        '--quiet',
        '--force',
        `--image-root=${work.path}`,
        `${server.url}/${IMAGE}`,
      ],
      { cwd: trapped.path },
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: `${work.file('image.raw')}\n`,
      stderr: '',
    });
    expect(fs.readFileSync(work.file('image.raw')).equals(content)).toBe(true);
  });
});

describe('the traps above are real', () => {
  test('for plain bun', () => {
    const script = work.write('script.ts', 'console.log(process.env["SSL_CERT_FILE"]);');
    const { stdout } = spawnSync(BUN, [script], { cwd: trapped.path, env: {}, encoding: 'utf8' });
    expect(stdout).toBe('TRAPPED\n/nonexistent/from-dotenv.pem\n');
  });

  test('for rdpull, with the same variables in the real environment', async () => {
    const withVariables = async (args: string[]): Promise<Finished> =>
      rdpull(args, { cwd: empty.path, env: ENVIRONMENT });
    expect((await withVariables(COMMANDS['a pull over https'])).stderr).toContain('from-dotenv.pem');
    expect((await withVariables(COMMANDS['the system keyring'])).stderr).toContain('from-dotenv.pgp');
  });
});

test('no variable of the runtime turns the check of certificates off', async () => {
  const certificate = ['-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=stranger', '-days', '2'];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'tls.key', '-out', 'tls.pem'];
  for (const directory of [work, empty]) {
    run(['openssl', 'req', '-x509', ...certificate, ...names], { cwd: directory.path });
  }
  await using server = startWebServer(work.path, undefined, {
    key: fs.readFileSync(work.file('tls.key'), 'utf8'),
    cert: fs.readFileSync(work.file('tls.pem'), 'utf8'),
  });
  const args = ['pull', '--verify=no', `--image-root=${work.file('tls')}`, `${server.url}/${IMAGE}`];
  const { status, stderr } = await rdpull([...args, `--ca=${empty.file('tls.pem')}`], {
    env: { NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_EXTRA_CA_CERTS: work.file('tls.pem') },
  });
  expect(stderr).toContain('the server cannot be trusted');
  expect(status).toBe(10);
});
