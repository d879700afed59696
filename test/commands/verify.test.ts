import { afterAll, beforeAll, expect, test } from 'bun:test';
import { rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { ImageSigner } from '../fixtures/image-signer.ts';
import { run } from '../fixtures/run.ts';
import { writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const directory = new TemporaryDirectory();
const keys = new TemporaryDirectory();
const gpg = new GpgHome();
let keyring: string;

beforeAll(() => {
  directory.write('image.raw.xz', run(['xz'], { input: Buffer.from('an image') }));
  const key = gpg.generateKey('Image Builder <builder@example.com>');
  directory.write('SHA256SUMS.asc', gpg.sign(run(['cat', writeChecksums(directory)]), { by: key }));
  keyring = `--keyring=${keys.write('keys.pgp', gpg.exportKeys([key]))}`;
});
afterAll(() => {
  gpg[Symbol.dispose]();
  for (const each of [directory, keys]) each[Symbol.dispose]();
});

test('says who vouches for a good file, and explains each step', async () => {
  const { status, stdout, stderr } = await rdpull(['verify', keyring, directory.file('image.raw.xz')]);
  expect(stdout).toMatch(
    /image\.raw\.xz: 64 B, verified by file:\S+SHA256SUMS, signed by Image Builder <builder@example\.com> \([0-9A-F]{40}\)\n$/,
  );
  const steps = stderr.trimEnd().split('\n');
  expect(steps).toHaveLength(8);
  expect(steps.at(-2)).toMatch(
    /^rdpull: file:\S+\/SHA256SUMS: line 1 promises the SHA-256 [0-9a-f]{64} for "image\.raw\.xz"$/,
  );
  expect(steps.at(-1)).toMatch(/^rdpull: file:\S+\/image\.raw\.xz: 64 bytes with the SHA-256 [0-9a-f]{64}$/);
  expect(status).toBe(0);
});

test.each([
  ['a path', (name: string) => directory.file(name)],
  ['a URL', (name: string) => `file://${directory.file(name)}`],
])('a file that is not there is told as that, named by %s', async (_, operand) => {
  const missing = await rdpull(['verify', keyring, operand('imaeg.raw.xz')]);
  expect(missing.stderr).toBe(
    `rdpull: error: there is no file ${directory.file('imaeg.raw.xz')}\nrdpull: try: check the path\n`,
  );
  expect(missing.status).toBe(14);
  const whole = await rdpull(['verify', '--verify=checksum', operand('')]);
  expect(whole.stderr).toStartWith(`rdpull: error: ${directory.file('')} is not a regular file\n`);
  expect(whole.status).toBe(14);
});

test('does without a signature when only the checksum is wanted', async () => {
  const { status, stdout } = await rdpull(['verify', '--verify=checksum', 'image.raw.xz'], {
    cwd: directory.path,
  });
  expect(stdout).toMatch(/verified by file:\S+\/SHA256SUMS\n$/);
  expect(status).toBe(0);
});

test('--json names digest, checksum file and signer', async () => {
  const { stdout } = await rdpull(['verify', '--json', keyring, directory.file('image.raw.xz')]);
  expect(JSON.parse(stdout)).toMatchObject({
    file: directory.file('image.raw.xz'),
    bytes: 64,
    sha256: run(['sha256sum', directory.file('image.raw.xz')])
      .toString()
      .slice(0, 64),
    promised: {
      manifestUrl: expect.stringContaining('SHA256SUMS'),
      signedBy: { userId: 'Image Builder <builder@example.com>' },
    },
  });
});

test('a changed file fails with status 13', async () => {
  using copy = new TemporaryDirectory();
  run(['cp', '-a', `${directory.path}/.`, copy.path]);
  copy.write('image.raw.xz', 'something else');
  const { status, stdout, stderr } = await rdpull(['verify', keyring, copy.file('image.raw.xz')]);
  expect(stderr).toContain('is not what was promised: its 14 bytes have the SHA-256');
  expect(stdout).toBe('');
  expect(status).toBe(13);
});

test('a missing file fails with status 14', async () => {
  const { status, stderr } = await rdpull(['verify', '--verify=checksum', directory.file('nothing.raw')]);
  expect(stderr).toContain('nothing.raw');
  expect([13, 14]).toContain(status ?? 0);
});

test('verify=no is refused: there would be nothing to check', async () => {
  const { status, stderr } = await rdpull(['verify', '--verify=no', directory.file('image.raw.xz')]);
  expect(stderr).toBe(
    'rdpull: error: verify=no leaves nothing to check\nrdpull: try: choose signature, checksum or sha256:HEX\n',
  );
  expect(status).toBe(2);
});

test('checks what lies on a server, by a certificate', async () => {
  using signer = new ImageSigner();
  using served = new TemporaryDirectory();
  const builder = signer.identity();
  served.write('image.raw', 'an image');
  const sums = run(['sha256sum', 'image.raw'], { cwd: served.path });
  served.write('SHA256SUMS', sums);
  served.write('SHA256SUMS.p7s', signer.sign(sums, builder));
  await using server = startWebServer(served.path);
  const args = ['verify', `--certificate=${builder.certificate}`];
  const good = await rdpull([...args, `${server.url}/image.raw`]);
  expect(good.stdout).toMatch(
    /^http:\S+\/image\.raw: 8 B, verified by http:\S+\/SHA256SUMS, signed by CN=Image Builder \([0-9A-F]{64}\)\n$/,
  );
  expect(good.stderr).toContain('a good signature, made on ');
  expect(good.status).toBe(0);

  served.write('SHA256SUMS.p7s', signer.sign(sums, signer.identity({ subject: '/CN=Mallory' })));
  const bad = await rdpull([...args, `${server.url}/image.raw`]);
  expect(bad.stderr).toContain('was made with a certificate that is not in');
  expect(bad.status).toBe(13);
});
