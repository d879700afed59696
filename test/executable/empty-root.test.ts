import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { EmptyRoot, sharedLibraries } from '../fixtures/chroot.ts';
import { RDPULL } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const COMPRESSIONS = [
  { name: 'multi-block.raw.xz', command: ['xz', '-T2', '--block-size=1MiB'], compression: 'xz' },
  { name: 'single-block.raw.xz', command: ['xz', '-T1'], compression: 'xz' },
  { name: 'image.raw.gz', command: ['gzip'], compression: 'gzip' },
  { name: 'image.raw.bz2', command: ['bzip2'], compression: 'bzip2' },
  { name: 'image.raw.zst', command: ['zstd', '-q'], compression: 'zstd' },
  { name: 'image.raw', command: ['cat'], compression: 'none' },
];

const root = new EmptyRoot();
const work = new TemporaryDirectory();
const gpg = new GpgHome();
let image: Buffer;

beforeAll(() => {
  image = fs.readFileSync(makeImage(work));
  for (const { name, command } of COMPRESSIONS) root.write(name, run(command, { input: image }));

  fs.mkdirSync(work.file('tree/usr/lib'), { recursive: true });
  work.write('tree/usr/lib/os-release', 'ID=rdpull-tree\n');
  fs.symlinkSync('usr/lib', work.file('tree/lib'));
  run(['setfattr', '-n', 'trusted.colour', '-v', 'green', 'tree/usr/lib/os-release'], { cwd: work.path });
  run(['chown', '1234:5678', 'tree/usr/lib/os-release'], { cwd: work.path });
  run(['chmod', '4755', 'tree/usr/lib/os-release'], { cwd: work.path });
  root.write(
    'tree.tar.zst',
    run(['tar', '--xattrs', '--xattrs-include=*', '--zstd', '-cC', work.file('tree'), '.']),
  );

  const inputs = path.join(root.path, 'in');
  const manifest = run(['sh', '-c', 'sha256sum *'], { cwd: inputs });
  root.write('SHA256SUMS', manifest);
  const builder = gpg.generateKey('Image Builder <builder@example.com>');
  root.write('SHA256SUMS.gpg', gpg.sign(manifest, { by: builder, armor: false }));
  root.write('builder.pgp', gpg.exportKeys([builder]));
  const stranger = gpg.generateKey('Stranger <stranger@example.com>');
  root.write('stranger.asc', gpg.exportKeys([stranger], { armor: true }));

  const certificate = ['-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=rdpull', '-days', '2'];
  const names = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', 'tls.key', '-out', 'tls.pem'];
  run(['openssl', 'req', '-x509', ...certificate, ...names], { cwd: work.path });
  root.write('ca.pem', fs.readFileSync(work.file('tls.pem')));
});

afterAll(() => {
  for (const each of [root, work, gpg]) each[Symbol.dispose]();
});

const pulled = (name: string) => fs.readFileSync(path.join(root.out, name));
const PULL = ['pull', '--image-root=/out', '--local=pulled'];

describe('what the executable is linked with', () => {
  test("are glibc's own libraries and nothing else", () => {
    expect(sharedLibraries(RDPULL).map((file) => path.basename(file))).toEqual([
      'libc.so.6',
      'libdl.so.2',
      'libm.so.6',
      'libpthread.so.0',
      expect.stringMatching(/^ld-linux/),
    ]);
  });

  test('are all that lies in the root that the tests below run in', () => {
    const files = root.files().filter((file) => !file.startsWith('./in/'));
    expect(files).toEqual([...sharedLibraries(RDPULL).map((file) => `.${file}`), './rdpull'].sort());
  });
});

describe('in a read-only root with nothing but glibc and /proc', () => {
  test('the root cannot be written to, and there is no /tmp, /dev, /etc or /sys', async () => {
    const { status, stderr } = await root.run([
      'pull',
      '--verify=no',
      '--image-root=/elsewhere',
      'file:///in/image.raw',
    ]);
    expect(stderr).toContain('/elsewhere');
    expect(stderr).toContain('read-only');
    expect(status).toBe(14);
    const absent = ['bin', 'dev', 'elsewhere', 'etc', 'run', 'sys', 'tmp', 'usr', 'var'];
    expect(fs.readdirSync(root.path).filter((name) => absent.includes(name))).toEqual([]);
    expect(fs.readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(root.path);
  });

  test.each(COMPRESSIONS)('$name is pulled whole', async ({ name, compression }) => {
    const { status, stdout, stderr } = await root.run([
      ...PULL,
      '--json',
      '--quiet',
      '--verify=checksum',
      `file:///in/${name}`,
    ]);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ target: '/out/pulled.raw', compression });
    expect(status).toBe(0);
    expect(pulled('pulled.raw').equals(image)).toBe(true);
    expect(fs.readdirSync(root.out)).toEqual(['pulled.raw']);
  });

  test('a tarball is unpacked with owners, modes, links and extended attributes', async () => {
    const { status, stderr } = await root.run([...PULL, '--verify=checksum', 'file:///in/tree.tar.zst']);
    expect(stderr).toContain('/out/pulled: ');
    expect(status).toBe(0);
    const file = path.join(root.out, 'pulled/usr/lib/os-release');
    const { uid, gid, mode } = fs.statSync(file);
    expect([uid, gid, (mode & 0o7777).toString(8)]).toEqual([1234, 5678, '4755']);
    expect(fs.readFileSync(file, 'utf8')).toBe('ID=rdpull-tree\n');
    expect(run(['getfattr', '--only-values', '-n', 'trusted.colour', file]).toString()).toBe('green');
    expect(fs.readlinkSync(path.join(root.out, 'pulled/lib'))).toBe('usr/lib');
  });

  test('an OpenPGP signature is checked', async () => {
    const { status, stderr } = await root.run([
      ...PULL,
      '--verify=signature',
      '--keyring=/in/builder.pgp',
      'file:///in/multi-block.raw.xz',
    ]);
    expect(stderr).toContain('signed by Image Builder <builder@example.com>');
    expect(status).toBe(0);
    expect(pulled('pulled.raw').equals(image)).toBe(true);
  });

  test('an OpenPGP signature by a key that is not in the keyring is refused', async () => {
    const { status, stderr } = await root.run([
      ...PULL,
      '--verify=signature',
      '--keyring=/in/stranger.asc',
      'file:///in/multi-block.raw.xz',
    ]);
    expect(stderr).toContain('rdpull: error: ');
    expect(status).toBe(13);
    expect(fs.readdirSync(root.out)).toEqual([]);
  });

  test('a local file is verified', async () => {
    const { status, stdout } = await root.run(['verify', '--keyring=/in/builder.pgp', '/in/image.raw.bz2']);
    expect(stdout).toContain('signed by Image Builder <builder@example.com>');
    expect(status).toBe(0);
  });

  test('an image is pulled over http', async () => {
    await using server = startWebServer(path.join(root.path, 'in'));
    const { status, stderr } = await root.run([
      ...PULL,
      '--verify=checksum',
      `${server.url}/multi-block.raw.xz`,
    ]);
    expect(stderr).toContain(`verified by ${server.url}/SHA256SUMS`);
    expect(status).toBe(0);
    expect(pulled('pulled.raw').equals(image)).toBe(true);
  });

  test('an image is pulled over https', async () => {
    const [key, cert] = ['tls.key', 'tls.pem'].map((name) => fs.readFileSync(work.file(name), 'utf8'));
    await using server = startWebServer(path.join(root.path, 'in'), undefined, {
      key: String(key),
      cert: String(cert),
    });
    const { status, stderr } = await root.run([
      ...PULL,
      '--verify=checksum',
      '--ca=/in/ca.pem',
      `${server.url}/image.raw.zst`,
    ]);
    expect(stderr).toContain(`verified by ${server.url}/SHA256SUMS`);
    expect(status).toBe(0);
    expect(pulled('pulled.raw').equals(image)).toBe(true);
  });

  test('https without certificates says where they would have to be', async () => {
    const { status, stderr } = await root.run([
      ...PULL,
      '--quiet',
      '--verify=no',
      'https://127.0.0.1:1/image.raw',
    ]);
    expect(stderr).toStartWith(
      'rdpull: error: https needs certificates to check the server against, and there are none here (looked for /etc/ssl/certs/ca-certificates.crt, ',
    );
    expect(status).toBe(10);
  });
});
