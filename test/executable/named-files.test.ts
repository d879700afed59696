import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { run } from '../fixtures/run.ts';
import { writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
const work = new TemporaryDirectory();
const gpg = new GpgHome();
const root = CertificateAuthority.root();
const pair = root.issue('server');
const tls = { key: fs.readFileSync(pair.key, 'utf8'), cert: fs.readFileSync(pair.cert, 'utf8') };
const image = served.file('image.raw');

beforeAll(() => {
  served.write('image.raw', 'an image');
  const key = gpg.generateKey('Image Builder <builder@example.com>');
  served.write('SHA256SUMS.asc', gpg.sign(run(['cat', writeChecksums(served)]), { by: key }));
  work.write('keys.pgp', gpg.exportKeys([key]));
  work.write('token', 's3cret\n');
  run(['mkfifo', work.file('idle')]);
});
afterAll(() => {
  gpg[Symbol.dispose]();
  for (const each of [served, work, root]) each[Symbol.dispose]();
});

/** Nobody answers there, and nobody has to: what the options name is read before. */
const REMOTE = 'https://127.0.0.1:9/image.raw';
/** In ms: before, it was for ever, or until memory ran out. */
const SOON = 8000;

const verify = (option: string) => ['verify', option, image];
const pull = (option: string) => ['pull', '--verify=no', `--image-root=${work.path}`, option, REMOTE];

const OPTIONS = [
  ['--keyring', 13, verify],
  ['--certificate', 13, verify],
  ['--ca', 10, pull],
  ['--cert', 2, pull],
  ['--bearer', 2, pull],
  ['--login', 2, pull],
  ['--key', 2, (option: string) => [...pull(`--cert=${pair.cert}`), option]],
  ['--sign', 2, (option: string) => ['serve', '--port=0', option, served.path]],
  ['--passphrase', 2, (option: string) => ['serve', '--port=0', '--sign=/dev/null', option, served.path]],
] as const;

const PLACES = [
  ['a pipe that nobody writes to', () => work.file('idle'), 'it is a pipe, and nobody writes to it'],
  ['a device', () => '/dev/zero', 'it is neither a file nor a pipe'],
  ['a directory', () => work.path, 'it is a directory'],
] as const;

describe.each(OPTIONS)('%s', (option, expected, command) => {
  test.each(PLACES)('names %s: it is refused at once', async (_, place, why) => {
    const { status, stderr } = await rdpull(command(`${option}=${place()}`), { timeout: SOON });
    expect(stderr).toContain(why);
    expect(status).toBe(expected);
  });
});

test('what a command writes can be named by the <(COMMAND) of a shell', async () => {
  await using server = startWebServer(
    served.path,
    (request) =>
      request.headers.get('authorization') === 'Bearer s3cret'
        ? undefined
        : new Response(null, { status: 401 }),
    tls,
  );
  const script = `exec "$@" --ca=<(sleep 0.1; cat ${root.cert}) --bearer=<(cat ${work.file('token')}) --keyring=<(cat ${work.file('keys.pgp')}) ${server.url}/image.raw`;
  const wrapper = ['bash', '-c', script, 'bash'];
  const { status, stdout, stderr } = await rdpull(['verify'], { wrapper });
  expect(stderr).toContain('a good signature');
  expect(stdout).toContain('signed by Image Builder');
  expect(status).toBe(0);
});
