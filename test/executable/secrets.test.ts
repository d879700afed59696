import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { type RunOptions, rdpull } from '../fixtures/executable.ts';
import { runToJournal } from '../fixtures/journal.ts';
import { MachineConsoles } from '../fixtures/machine-consoles.ts';
import { NotifyServer } from '../fixtures/notify-server.ts';
import { RdpullServe } from '../fixtures/rdpull-serve.ts';
import { run } from '../fixtures/run.ts';
import { makeImage, writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeUki } from '../fixtures/uki.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

/*
 * Secrets are planted wherever a person or a server can write one, and everything that comes out is looked through: what is
 * printed in each form, the records, what the service manager, the consoles and the journal get, and what `rdpull status` says
 * afterwards.
 */

/** In every secret: where it is, a secret is. */
const MARK = 's3cr3t';

/** Passwords, with all that ends a part of a URL, or is escaped in one. */
const PASSWORDS = [
  'As3cr3t',
  's3cr3t@s3cr3t',
  's3cr3t/s3cr3t',
  's3cr3t?s3cr3t',
  's3cr3t#s3cr3t',
  's3cr3t%46s3cr3t%',
  's3cr3t%2Fs3cr3t%40',
  's3cr3t s3cr3t',
  's3cr3t:s3cr3t,s3cr3t',
  's3cr3t\\s3cr3t',
  '1#s3cr3t/s3cr3t?s3cr3t@s3cr3t',
];

/** Those that are most likely to show: elsewhere than in a plain URL only they are tried. */
const WORST = PASSWORDS.filter((password) => password.includes('/'));

/** Queries that are a credential by themselves. */
const QUERIES = [
  'X-Amz-Credential=s3cr3t%2F1&X-Amz-Expires=9&X-Amz-Signature=s3cr3t',
  'X-Goog-Signature=s3cr3t',
  'sv=1&sig=s3cr3t%3D',
  'Expires=1&Signature=s3cr3t~-_',
  'token=s3cr3t',
  'access_token=s3cr3t',
  'private_token=s3cr3t',
  'api_key=s3cr3t',
];

const served = new TemporaryDirectory();
const sockets = new TemporaryDirectory();
const authority = CertificateAuthority.root();
let server: WebServer;
let secure: WebServer;
let manager: NotifyServer;
let machine: TemporaryDirectory;
let options: RunOptions;

/** A server that refuses, redirects and breaks off, and one whose answers say the secret. */
function route(request: Request): Response | undefined {
  const { pathname, origin } = new URL(request.url);
  const to = (location: string) => new Response(null, { status: 302, headers: { location } });
  if (pathname.startsWith('/signed/')) {
    return to(`${origin}/${path.basename(pathname)}?${QUERIES[0]}&token=s3cr3t`);
  }
  if (pathname.startsWith('/login/')) {
    return to(`${origin.replace('://', '://u:s3cr3t@')}/${path.basename(pathname)}`);
  }
  if (pathname.startsWith('/ftp/')) return to(`ftp://u:s3cr3t@h/x?token=s3cr3t`);
  if (pathname.startsWith('/broken/')) return to('http://u:s3cr3t/s3cr3t@h/x?token=s3cr3t');
  if (pathname.startsWith('/plain/')) return to('http://u:s3cr3t@h/x?token=s3cr3t');
  if (pathname.startsWith('/loop/')) return to(`${pathname}?token=s3cr3t`);
  if (pathname.startsWith('/401/')) return new Response(null, { status: 401 });
  if (pathname.startsWith('/500/')) return new Response(null, { status: 500 });
  if (pathname.startsWith('/page/')) {
    return new Response('<html>no</html>', { headers: { 'content-type': 'text/html' } });
  }
  return undefined;
}

beforeAll(async () => {
  manager = await NotifyServer.listen(sockets.file('notify'));
  makeImage(served, 'image.raw');
  served.write('other.raw', 'no image');
  writeChecksums(served);
  fs.mkdirSync(served.file('wrong'));
  served.write('wrong/image.raw', 'no image');
  served.write('wrong/SHA256SUMS', `${'0'.repeat(64)}  image.raw\n`);
  served.write('packed.raw.xz', run(['xz', '-c', served.file('image.raw')]).subarray(0, 500));
  server = startWebServer(served.path, route);
  const { key, cert } = authority.issue('server');
  secure = startWebServer(served.path, route, {
    key: fs.readFileSync(key, 'utf8'),
    cert: fs.readFileSync(cert, 'utf8'),
  });
});
beforeEach(() => {
  machine = new TemporaryDirectory();
  for (const name of ['run/systemd/generator', 'images'])
    fs.mkdirSync(machine.file(name), { recursive: true });
  const script = `mount --bind ${machine.file('run')} /run; exec "$@"`;
  options = { wrapper: ['unshare', '-m', '--propagation', 'private', 'sh', '-c', script, 'sh'] };
});
afterEach(() => machine[Symbol.dispose]());
afterAll(async () => {
  await manager[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await secure[Symbol.asyncDispose]();
  for (const each of [served, sockets]) each[Symbol.dispose]();
  authority[Symbol.dispose]();
});

/** The text of all files below a directory. */
function filesBelow(directory: string): string[] {
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.name}\n${fs.readFileSync(path.join(entry.parentPath, entry.name), 'utf8')}`);
}

/** Whether a text has a secret in it, as it is, escaped, or as a header has it. */
function requireNone(text: string, secrets: readonly string[] = []): void {
  const forms = secrets.flatMap((secret) => [
    btoa(`u:${secret}`),
    btoa(`user:${secret}`),
    encodeURIComponent(secret),
  ]);
  const lines = text.split('\n').filter((line) => [MARK, ...forms].some((form) => line.includes(form)));
  expect(lines).toEqual([]);
}

/** Runs a command in each form, and looks through all that comes of it; returns what a person sees. */
async function emitted(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const all = { ...options, env: { ...env, NOTIFY_SOCKET: sockets.file('notify') } };
  const [first = '', ...rest] = args;
  const { stdout, stderr } = await rdpull([first, '--verbose', '--json', ...rest], all);
  const said = [stdout + stderr];
  // As a person sees the result, which nothing but its form tells from what a program gets.
  if (first === 'check' || first === 'verify') said.push((await rdpull(args, all)).stdout);
  for (const form of first === 'pull' ? ['--all', '--json'] : []) {
    said.push((await rdpull(['status', form], options)).stdout);
  }
  const records = filesBelow(machine.file('run/rdpull'));
  const messages = await manager.received(() => true);
  requireNone([...said, ...records, ...messages].join('\n'));
  // Else nothing has been looked at.
  expect(said[0]?.length).toBeGreaterThan(10);
  return said[0] ?? '';
}

const withLogin = (url: string, password: string) => url.replace('://', `://user:${password}@`);
const pull = (...args: string[]) => [
  ...['pull', `--image-root=${machine.file('images')}`, '--patience=0', '--verify=no', '--force'],
  ...args,
];

describe.each(PASSWORDS)('a password: %s', (password) => {
  test('of a URL', async () => {
    const missing = withLogin(`${server.url}/missing.raw`, password);
    await emitted(pull(missing));
    await emitted(pull('--local=x', withLogin('http://127.0.0.1:1/x.raw', password)));
    await emitted(pull('--verify=checksum', withLogin(`${server.url}/wrong/image.raw`, password)));
    await emitted(['verify', withLogin(`${server.url}/image.raw`, password)]);
    await emitted(pull(withLogin(`${server.url}/image.raw`, password), missing));
  });

  test('that the generator reads, and status afterwards', async () => {
    const generator = machine.file('run/systemd/generator');
    const line = `"rd.systemd.pull=raw,machine:x:${withLogin('https://h.invalid/x.raw', password)}"`;
    const env = { SYSTEMD_IN_INITRD: 'yes', SYSTEMD_PROC_CMDLINE: line };
    const { stdout, stderr } = await rdpull(['generate', generator], { ...options, env });
    requireNone(stdout + stderr, [password]);
    // The unit has to know it: but only where it is used.
    const units = filesBelow(generator).join('\n');
    requireNone(units.replaceAll(/^ExecStart=.*$/gm, ''), [password]);
    await emitted(['status', '--all']);
  });
});

describe.each(WORST)('a password with a slash: %s', (password) => {
  test('of a mirror, of a proxy, and in an expression', async () => {
    const url = `${server.url}/missing.raw`;
    await emitted(pull(`--mirror=${withLogin(url, password)}`, url));
    for (const proxy of [withLogin('http://127.0.0.1:1', password), `user:${password}@127.0.0.1:1`]) {
      await emitted(pull(`--proxy=${proxy}`, url));
      await emitted(pull('--proxy', proxy, url));
      await emitted(pull(url), { http_proxy: proxy });
    }
    await emitted(pull(`--proxy=${withLogin('socks5://h', password)}`, url));
    await emitted(pull(`raw,machine:x:${withLogin(url, password)}`));
    await emitted(pull(`raw,machine,${withLogin(url, password)}`));
    const escaped = withLogin(url, password).replace(/[\\:,]/g, '\\$&');
    await emitted(pull(`raw,machine,mirror=${escaped}:x:${url}`));
  });

  test('that check reads: of a URL, an expression, a command line, a UKI', async () => {
    const url = withLogin(`${server.url}/missing.raw`, password);
    await emitted(['check', url]);
    await emitted(['check', withLogin(`${server.url}/image.efi`, password)]);
    await emitted([
      'check',
      `--boot-url=${withLogin(`${server.url}/image.efi`, password)}`,
      'raw,machine,bootorigin::',
    ]);
    await emitted(['check', `raw,machine:x:${url}`]);
    const line = `quiet "rd.systemd.pull=raw,machine:x:${url}" rw`;
    await emitted(['check', line]);
    await emitted(['check', line.replace('systemd.pull', 'systemd.pul')]);
    using directory = new TemporaryDirectory();
    const sections = [
      ['.linux', 'x'],
      ['.cmdline', line],
    ] as const;
    await emitted(['check', makeUki(directory, 'image.efi', sections)]);
    await using serving = await RdpullServe.start(directory.path, ['--address=127.0.0.1']);
    await (await fetch(serving.url(`image.raw?token=${MARK}`))).text();
    const { stdout, stderr } = await serving.stop();
    expect(stdout).toContain('asks for');
    requireNone(stdout + stderr, [password]);
    await using json = await RdpullServe.start(directory.path, ['--address=127.0.0.1', '--json']);
    const told = await json.stop();
    requireNone(told.stdout + told.stderr, [password]);
  });
});

describe.each(QUERIES)('a signed query: %s', (query) => {
  test('of a URL, a mirror, an expression', async () => {
    const url = `${server.url}/missing.raw?${query}`;
    await emitted(pull(url));
    await emitted(pull(`${server.url}/image.raw?${query}`));
    if (query !== QUERIES[0]) return;
    await emitted(pull(`--mirror=${url}`, url));
    await emitted(pull(`raw,machine:x:${url}`));
    await emitted(['verify', `${server.url}/image.raw?${query}`]);
    await emitted(['check', url]);
    await emitted(['check', `${server.url}/image.raw?${query}`]);
    await emitted(pull('--verify=checksum', `${server.url}/wrong/image.raw?${query}`));
  });
});

describe('what a server says', () => {
  test.each([
    'signed/image.raw',
    'signed/missing.raw',
    'signed/packed.raw.xz',
    'login/image.raw',
    'login/missing.raw',
    'ftp/image.raw',
    'broken/image.raw',
    'loop/image.raw',
    '401/image.raw',
    '500/image.raw',
    'page/image.raw',
  ])('%s', async (name) => {
    const url = `${server.url.replace('://', '://u:s3cr3t@')}/${name}?token=s3cr3t`;
    await emitted(pull('--verify=checksum', '--local=x', url));
    await emitted(['check', url]);
  });

  test('a redirect from https to http', async () => {
    await emitted(pull(`--ca=${authority.cert}`, `${secure.url}/plain/image.raw`));
  });
});

describe('a token', () => {
  test('in a file', async () => {
    const token = machine.write('token', `${MARK}\n`);
    const login = machine.write('login', `user:${MARK}\n`);
    const spoilt = machine.write('spoilt', `${MARK} ${MARK}\n${MARK}`);
    const ca = `--ca=${authority.cert}`;
    for (const name of ['image.raw', '401/image.raw', 'plain/image.raw', 'signed/image.raw']) {
      await emitted(pull(ca, `--bearer=${token}`, `${secure.url}/${name}`));
      await emitted(pull(ca, `--login=${login}`, `${secure.url}/${name}`));
    }
    await emitted(pull(`--bearer=${token}`, `${server.url}/image.raw`));
    for (const kind of ['bearer', 'login'])
      await emitted(pull(ca, `--${kind}=${spoilt}`, `${secure.url}/image.raw`));
    const directory = new TemporaryDirectory();
    directory.write('rdpull.bearer', MARK);
    await emitted(pull(`${server.url}/image.raw`), { CREDENTIALS_DIRECTORY: directory.path });
    directory[Symbol.dispose]();
  });

  test('in place of the file', async () => {
    const long = MARK.repeat(100);
    for (const token of [MARK, long, `user:${MARK}`]) {
      for (const kind of ['bearer', 'login']) {
        await emitted(pull(`--${kind}=${token}`, `${secure.url}/image.raw`));
        await emitted(pull(`--${kind}`, token, `${secure.url}/image.raw`));
      }
      await emitted(['serve', served.path, '--sign=/dev/null', `--passphrase=${token}`]);
    }
  });
});

test.each(PASSWORDS)('the consoles of a machine that boots, and a password: %s', async (password) => {
  await using consoles = await MachineConsoles.open(['tty1', 'ttyS0']);
  const url = withLogin('http://127.0.0.1:1/image.raw?token=s3cr3t', password);
  await rdpull(pull('--boot-screen', url), { wrapper: consoles.wrapper });
  await consoles.settled();
  const text = consoles.text('tty1') + consoles.text('ttyS0');
  expect(text).toContain('retry: ');
  requireNone(text, [password]);
});

test('the journal', async () => {
  const ours = (entries: readonly Readonly<Record<string, unknown>>[]) =>
    // Its arguments are in the journal by journald itself: systemd has them from the unit, too.
    entries.map(({ _CMDLINE: _, ...entry }) => JSON.stringify(entry)).join('\n');
  for (const url of [
    `${withLogin(server.url, 's3cr3t%40')}/signed/image.raw?token=s3cr3t`,
    withLogin(`${server.url}/missing.raw`, 's3cr3t/s3cr3t'),
  ]) {
    const { entries, explained } = await runToJournal([
      'pull',
      `--image-root=${machine.file('images')}`,
      '--verify=no',
      '--patience=0',
      '--boot-screen',
      url,
    ]);
    expect(entries.length).toBeGreaterThan(1);
    requireNone(ours(entries) + explained);
  }
}, 120_000);
