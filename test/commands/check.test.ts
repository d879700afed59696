import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { type Finished, finished, rdpull, startRdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { type Nginx, startNginx } from '../fixtures/nginx.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { COMPLETE, type InitrdEntry, makeArchive, makeUki, RELEASE } from '../fixtures/uki.ts';
import { startWebServer } from '../fixtures/web-server.ts';

/**
 * What is printed, word for word, but for what differs from run to run. With RDPULL_WRITE_GOLDEN=1 the files are written anew:
 * look at the difference as a user would.
 */
const GOLDEN = path.join(import.meta.dir, 'check');

const COMMAND_LINE = 'quiet rd.systemd.pull=raw,machine,bootorigin::';

const directory = new TemporaryDirectory();
const served = new TemporaryDirectory();
const gpg = new GpgHome();
let server: Nginx;
let key: string;
let keys: Readonly<Record<string, InitrdEntry>>;

beforeAll(async () => {
  const image = makeImage(directory);
  fs.writeFileSync(served.file('image.raw.xz'), run(['xz', '-T0', '-c', image]));
  fs.copyFileSync(image, served.file('plain.raw'));
  served.write('image.tar', run(['tar', '--create', '--file=-', '-C', directory.path, 'image.raw']));
  run(['truncate', '-s', '3G', served.file('huge.raw')]);
  run(['mkfs.ext4', '-q', served.file('huge.raw')]);
  const names = ['image.raw.xz', 'plain.raw', 'image.tar'];
  served.write('SHA256SUMS', run(['sha256sum', ...names], { cwd: served.path }));
  key = gpg.generateKey('Image Builder <builder@example.com>');
  served.write('SHA256SUMS.gpg', gpg.sign(fs.readFileSync(served.file('SHA256SUMS')), { by: key }));
  keys = { 'etc/systemd/import-pubring.pgp': gpg.exportKeys([key]) };
  server = await startNginx(served.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  gpg[Symbol.dispose]();
  for (const each of [directory, served]) each[Symbol.dispose]();
});

/** A UKI that lies on the server as well. */
function uki(
  entries: Readonly<Record<string, InitrdEntry>>,
  { commandLine = COMMAND_LINE, name = 'image.efi' } = {},
): string {
  const file = makeUki(served, name, [
    ['.cmdline', commandLine],
    ['.uname', RELEASE],
    ['.linux', 'a kernel'],
    ['.initrd', run(['zstd', '-q'], { input: makeArchive(directory, entries) })],
  ]);
  return file;
}

const check = (...args: readonly string[]) => rdpull(['check', ...args]);
const checkUki = (file: string, ...args: readonly string[]) =>
  check(file, `--boot-url=${server.url}/${path.basename(file)}`, '--ram=2G', ...args);

function without(entries: Readonly<Record<string, InitrdEntry>>, pattern: RegExp) {
  return Object.fromEntries(Object.entries(entries).filter(([name]) => !pattern.test(name)));
}

/** The lines that begin like this, without what is aligned. */
function lines({ stdout }: Finished, state: string): string[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith(state))
    .map((line) => line.replaceAll(/ {2,}/g, ' | '));
}

function expectGolden(name: string, { stdout }: Finished): void {
  const stable = stdout
    .replaceAll(server.url, 'http://HOST')
    .replaceAll(/\b[0-9A-F]{40}\b/g, 'FINGERPRINT')
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'DIGEST')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/[\d.]+ [KM]iB(?=: |, like| after decompression \()/g, 'SIZE')
    .replaceAll(/(image\.raw\.xz: )[\d.]+ KiB/g, '$1SIZE')
    .replaceAll(/(takes )[\d.]+ [KM]iB/g, '$1SIZE')
    .replaceAll(/(initrd has |has the key |about )[\d.]+ [KMG]iB/g, '$1SIZE');
  const file = path.join(GOLDEN, `${name}.txt`);
  if (process.env['RDPULL_WRITE_GOLDEN'] === '1') fs.writeFileSync(file, stable);
  expect(stable).toBe(fs.readFileSync(file, 'utf8'));
}

describe('a UKI', () => {
  test('that boots: with what is in its initrd, and what its server has', async () => {
    const result = await checkUki(uki({ ...COMPLETE, ...keys }));
    expectGolden('good', result);
    expect(result.stderr).toBe('');
    expect(result.status).toBe(0);
  });

  test('whose initrd trusts another key, and lacks network and loop devices', async () => {
    const other = new GpgHome();
    using _ = other;
    const stranger = other.exportKeys([other.generateKey('Somebody else')]);
    const file = uki({
      ...without(COMPLETE, /networkd|loop\.ko/),
      'etc/systemd/import-pubring.pgp': stranger,
    });
    const result = await checkUki(file, '--verbose');
    expectGolden('incomplete', result);
    expect(result.stderr).toContain('checked with 1 OpenPGP key from /etc/systemd/import-pubring.pgp');
    expect(result.status).toBe(15);
  });

  test('with an expression that is left out, one whose image is not there, and one that is too large', async () => {
    const commandLine = [
      'rd.systemd.pull=rwa,machine:a:http://HOST/a.raw',
      `rd.systemd.pull=raw,sysext,verify=no:b:${server.url}/missing.raw`,
      `rd.systemd.pull=raw,machine,verify=no:c:${server.url}/huge.raw`,
    ].join(' ');
    const result = await checkUki(uki({ ...COMPLETE, ...keys }, { commandLine }));
    expectGolden('wrong', result);
    expect(result.status).toBe(2);
  });

  test('whose initrd has neither rdpull nor a generator', async () => {
    const result = await checkUki(uki(without({ ...COMPLETE, ...keys }, /rdpull$|generator/)));
    expect(lines(result, 'failure')).toEqual([
      'failure | initrd | rdpull is not in the initrd of the UKI: nothing would be pulled',
    ]);
    expect(result.status).toBe(15);
    const dangling = await checkUki(uki(without({ ...COMPLETE, ...keys }, /^usr\/bin\/rdpull$/)));
    expect(lines(dangling, 'failure')).toHaveLength(1);
  });

  test('whose initrd has no key at all', async () => {
    const result = await checkUki(uki(COMPLETE));
    expect(lines(result, 'failure')[0]).toContain(
      'there is no key and no certificate to check signatures with',
    );
    expect(result.stdout).not.toContain('rdpull-check-');
    expect(result.status).toBe(13);
  });

  test('whose keyring is a link, and one that is masked', async () => {
    const linked = {
      ...COMPLETE,
      'usr/lib/systemd/import-pubring.gpg': keys['etc/systemd/import-pubring.pgp'] ?? '',
      'etc/systemd/import-pubring.pgp': { link: '/usr/lib/systemd/import-pubring.gpg' },
    };
    expect((await checkUki(uki(linked))).status).toBe(0);
    const masked = { ...COMPLETE, 'etc/systemd/import-pubring.pgp': { link: '/dev/null' } };
    expect((await checkUki(uki(masked))).status).toBe(13);
  });

  test('whose initrd has a key under a name that no file can have', async () => {
    const key = `etc/verity.d/${'x'.repeat(250)}`;
    const archive = makeArchive(directory, { [key]: 'x' }).toString('latin1');
    // A longer name fills what was the end of the padding, and of the content.
    const header = archive.lastIndexOf('070701', archive.indexOf(key));
    const nameSize = header + 6 + 8 * 11;
    const longer = `${archive.slice(0, nameSize)}0000010f${archive.slice(nameSize + 8, header + 110)}${key}xxxxxxx\0`;
    const initrd = Buffer.concat([
      makeArchive(directory, COMPLETE),
      Buffer.from(`${longer}\0\0\0x\0\0\0`, 'latin1'),
    ]);
    const file = makeUki(directory, 'conflict.efi', [
      ['.cmdline', COMMAND_LINE],
      ['.linux', 'a kernel'],
      ['.initrd', initrd],
    ]);
    const result = await checkUki(file);
    expect(lines(result, 'failure')[0]).toContain('the keys in its initrd cannot be unpacked');
    expect(result.status).toBe(12);
  });

  test('where there is no directory for temporary files', async () => {
    const file = uki({ ...COMPLETE, ...keys });
    const result = await rdpull(['check', file], { env: { TMPDIR: '/proc/nowhere' } });
    expect(lines(result, 'failure')[0]).toContain('no temporary files can be made');
    expect(result.status).toBe(14);
  });

  test('whose initrd nobody here can read is checked with the keys of this machine', async () => {
    const file = makeUki(served, 'image.efi', [
      ['.cmdline', COMMAND_LINE],
      ['.linux', 'a kernel'],
      ['.initrd', Buffer.from([0x02, 0x21, 0x4c, 0x18, 0, 0, 0, 0])],
    ]);
    const result = await checkUki(file, `--keyring=${directory.write('own.pgp', gpg.exportKeys([key]))}`);
    expect(lines(result, 'warning').slice(0, 2)).toEqual([
      'warning | initrd | it is packed with lz4, which check does not read: what is in it is not known',
      'warning | initrd | what follows is checked with the keys and certificates of this machine',
    ]);
    expect(result.status).toBe(0);
  });

  test('of two profiles, and with more words than the kernel keeps', async () => {
    const file = makeUki(served, 'image.efi', [
      ['.linux', 'a kernel'],
      ['.initrd', makeArchive(directory, { ...COMPLETE, ...keys })],
      ['.profile', 'ID=main'],
      ['.cmdline', `${COMMAND_LINE} ${'x'.repeat(2048)}`],
      ['.profile', 'ID=other'],
      ['.cmdline', 'quiet'],
    ]);
    const result = await checkUki(file);
    expect(lines(result, 'warning')).toEqual([
      'warning | uki | it has 2 profiles: the first one is checked, which is booted when nobody chooses',
      'warning | command line | it is 2095 bytes long, and the kernel keeps 2047',
    ]);
    expect(result.status).toBe(0);
  });

  test('is read without being root', async () => {
    const file = uki({ ...COMPLETE, ...keys });
    fs.chmodSync(served.path, 0o755);
    const result = await rdpull(['check', file, `--boot-url=${server.url}/image.efi`], { user: 'nobody' });
    expect(result.stdout).toContain('this would boot');
    expect(result.status).toBe(0);
  });

  test('whose root stays on an NVMe server: the module, the rule, and whether somebody listens', async () => {
    const commandLine = 'rd.systemd.pull=raw,machine,verify=no,bootorigin:root:nvme+tcp://:1';
    const complete = await checkUki(
      uki({ ...COMPLETE, ...keys }, { commandLine, name: 'nvme.efi' }),
      '--json',
    );
    const { checks, pulls } = JSON.parse(complete.stdout);
    expect(pulls[0].urls).toEqual(['nvme+tcp://127.0.0.1:1']);
    const said = checks.map(({ state, stage, text }: Record<string, string>) => `${state} ${stage}: ${text}`);
    expect(said).toContain(`ok kernel: Linux ${RELEASE} has the module nvme-tcp`);
    expect(said).toContain(
      'ok unit: rdpull@run-machines-root.raw.service: /run/machines/root.raw (raw, machine, the root file system)',
    );
    expect(said).toContain(
      'warning checksum: verify=no: nobody vouches for what comes over NVMe, at any time, unless dm-verity checks each block',
    );
    expect(said.filter((text: string) => text.startsWith('failure'))).toEqual([
      expect.stringMatching(
        /^failure server: 127\.0\.0\.1:1: the server refuses the connection|^failure server: 127\.0\.0\.1:1: /,
      ),
    ]);
    expect(complete.status).toBe(10);

    const lacking = await checkUki(
      uki(without({ ...COMPLETE, ...keys }, /nvme/), { commandLine, name: 'nvme.efi' }),
    );
    expect(lines(lacking, 'failure')[0]).toContain(`Linux ${RELEASE} has no module nvme-tcp in the initrd`);
    expect(lines(lacking, 'warning').join('\n')).toContain(
      'the udev rule 60-rdpull-nvme.rules is not in the initrd',
    );
    expect(lacking.status).toBe(15);
  });

  test('that says itself what {kernel} and {arch} stand for', async () => {
    const commandLine = `rd.systemd.pull=raw,machine,verify=no:root:${server.url}/{arch}-{kernel}.raw`;
    const file = uki({ ...COMPLETE, ...keys }, { commandLine });
    fs.copyFileSync(served.file('plain.raw'), served.file(`x86-64-${RELEASE}.raw`));
    const result = await checkUki(file);
    expect(result.stdout).toContain(`/x86-64-${RELEASE}.raw: 8.0 MiB`);
    expect(result.stdout).not.toContain('of this machine');
    expect(result.status).toBe(0);
  });

  test('that is not the one on its server', async () => {
    const file = uki({ ...COMPLETE, ...keys });
    const copy = directory.file('image.efi');
    fs.copyFileSync(file, copy);
    fs.appendFileSync(copy, 'more');
    const result = await checkUki(copy);
    expect(lines(result, 'warning')[0]).toContain('the server has another UKI');
    expect(result.status).toBe(0);
  });

  test('without --boot-url: what is in it is checked, and what is missing is said', async () => {
    const result = await check(uki({ ...COMPLETE, ...keys }), '--ram=2G');
    expect(lines(result, 'warning')).toHaveLength(1);
    expect(result.stdout).toContain(
      'try: say where it will be booted from: --boot-url=http://HOST/image.efi',
    );
    expect(result.status).toBe(0);
  });

  test('that is none, is damaged, or asks for nothing', async () => {
    expect(await check(directory.write('a.efi', 'hello'))).toMatchObject({ status: 12, stderr: '' });
    const asksNothing = await check(uki(COMPLETE, { commandLine: 'quiet', name: 'b.efi' }));
    expect(lines(asksNothing, 'failure')[0]).toContain('asks for no pull: quiet');
    expect(asksNothing.status).toBe(2);
    expect((await check(directory.file('missing.efi'))).stderr).toContain('there is no file');
    expect((await check(directory.write('notes.txt', 'hello'))).stderr).toContain('is a file, but no UKI');
  });

  test.each([
    ['directory', 'is a directory', ['mkdir']],
    ['directory.efi', 'is a directory', ['mkdir']],
    ['pipe', 'is not a regular file', ['mkfifo']],
    ['pipe.efi', 'is not a regular file', ['mkfifo']],
    ['device.efi', 'is not a regular file', ['ln', '-s', '/dev/zero']],
  ])('that is no file at all: %s', async (name, what, make) => {
    using place = new TemporaryDirectory();
    const file = place.file(name);
    run([...make, file]);
    const { status, stderr } = await rdpull(['check', file]);
    expect(stderr).toBe(
      `rdpull: error: "${file}" ${what}, and no UKI\nrdpull: try: name the file of a UKI\n`,
    );
    expect(status).toBe(2);
  });

  test('that nobody may look at is there all the same', async () => {
    using place = new TemporaryDirectory();
    place.write('image.efi', 'MZ');
    fs.chmodSync(place.path, 0o700);
    const { stdout, stderr } = await rdpull(['check', place.file('image.efi')], { user: 'nobody' });
    expect(stdout + stderr).toContain('cannot be read: EACCES');
  });

  test('over https: the bundle of the initrd is what the server is checked against', async () => {
    using authority = CertificateAuthority.root();
    await using secure = await startNginx(served.path, { certificate: authority.issue('localhost') });
    const commandLine = `rd.systemd.pull=raw,machine:root:${secure.url.replace('127.0.0.1', 'localhost')}/image.raw.xz`;
    const bundle = { 'etc/ssl/certs/ca-certificates.crt': fs.readFileSync(authority.cert) };
    const good = await checkUki(uki({ ...COMPLETE, ...keys, ...bundle }, { commandLine }));
    expect(good.stdout).toMatch(
      /^ok +tls +the certificate of localhost:\d+ is good until \d{4}-\d\d-\d\d \(\d+ days\)/m,
    );
    expect(good.status).toBe(0);
    const bare = await checkUki(uki({ ...COMPLETE, ...keys }, { commandLine }));
    expect(lines(bare, 'failure')).toHaveLength(1);
    expect(lines(bare, 'failure')[0]).toContain(
      'the certificates in /etc/ssl/certs/ca-certificates.crt cannot be read',
    );
    expect(bare.stdout).toContain(
      'try: https needs certificates to check the server against: put the ca-certificates',
    );
    expect(bare.status).toBe(10);
    using stranger = CertificateAuthority.root();
    const wrong = { 'etc/ssl/certs/ca-certificates.crt': fs.readFileSync(stranger.cert) };
    const untrusted = await checkUki(uki({ ...COMPLETE, ...keys, ...wrong }, { commandLine }));
    expect(lines(untrusted, 'failure')).toHaveLength(1);
    expect(lines(untrusted, 'failure')[0]).toContain('the server cannot be trusted');
    await using redirecting = startWebServer(served.path, (request) =>
      Response.redirect(`${secure.url.replace('127.0.0.1', 'localhost')}${new URL(request.url).pathname}`),
    );
    const redirected = uki(
      { ...COMPLETE, ...keys },
      { commandLine: `rd.systemd.pull=raw,machine:root:${redirecting.url}/image.raw.xz` },
    );
    expect((await checkUki(redirected)).status).not.toBe(0);
    expect(untrusted.status).toBe(10);
  });
});

describe('an expression', () => {
  const keyring = () => `--keyring=${directory.write('keys.pgp', gpg.exportKeys([key]))}`;

  test('and the URL in it, and a command line with it, come to the same', async () => {
    const url = `${server.url}/image.raw.xz`;
    const results = await Promise.all(
      [`raw,machine::${url}`, url, `quiet rd.systemd.pull=raw,machine::${url}`].map((operand) =>
        check(keyring(), operand, '--ram=2G'),
      ),
    );
    for (const { stdout, status } of results) {
      expect(stdout.split('\n').slice(1)).toEqual((results[0]?.stdout ?? '').split('\n').slice(1));
      expect(status).toBe(0);
    }
  });

  test('with bootorigin is tried as if booted from --boot-url', async () => {
    const result = await check(keyring(), 'raw,machine,bootorigin::', `--boot-url=${server.url}/image.efi`);
    expect(result.stdout).toContain(`${server.url}/image.raw.xz`);
    expect(result.status).toBe(0);
  });

  test('or a URL of a disk on an NVMe server: whether somebody listens', async () => {
    const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
    try {
      const url = `nvme+tcp://127.0.0.1:${listener.port}/nqn.2014-08.org.example:disk7`;
      for (const operand of [url, `raw,machine,verify=no:root:${url}`]) {
        const result = await check(operand, '--ram=2G');
        expect(result.stdout).toContain(
          `127.0.0.1:${listener.port} takes connections; whether it has the subsystem is seen at boot`,
        );
      }
      const refused = await check(`raw,machine:root:${url}`);
      expect(lines(refused, 'failure')[0]).toContain(
        'asks for verify=signature, which cannot hold for a disk',
      );
    } finally {
      listener.stop(true);
    }
  });

  test('with a placeholder has the value that is given for it', async () => {
    const operand = `raw,machine,verify=no:root:${server.url}/{serial}.raw`;
    const result = await check(operand, '--placeholder=serial=plain', '--ram=2G');
    expect(result.stdout).toContain(`${server.url}/plain.raw: 8.0 MiB`);
    expect(result.status).toBe(0);
  });

  test('whose image does not fit the RAM says by how much', async () => {
    const result = await check(`raw,machine,verify=no:root:${server.url}/huge.raw`, '--ram=2G');
    expect(lines(result, 'failure')[0]).toMatch(
      /the image takes 3\.0 GiB in RAM \(2\.0 GiB, of which .* leave about 1\.\d GiB\): 1\.\d GiB too much/,
    );
    expect(result.status).toBe(14);
    const anyway = await check(`raw,machine,verify=no,overcommit:root:${server.url}/huge.raw`, '--ram=2G');
    expect(anyway.status).toBe(0);
  });

  test('that says raw of a tarball, or tar of a disk image', async () => {
    const raw = await check(`raw,machine,verify=no:root:${server.url}/image.tar`, '--ram=2G');
    expect(lines(raw, 'failure')[0]).toContain('is a tarball, not a disk image');
    expect(raw.status).toBe(12);
    const tar = await check(`tar,machine,verify=no:root:${server.url}/image.raw.xz`, '--ram=2G');
    expect(lines(tar, 'failure')[0]).toContain('is a disk image (ext4), not a tarball');
    expect((await check(`tar,machine,verify=no:root:${server.url}/image.tar`)).status).toBe(0);
  });

  test.each(['none', 'xz', 'gzip', 'zstd'])('whose image has no root partition (%s)', async (compression) => {
    const disk = directory.file('disk.raw');
    fs.rmSync(disk, { force: true });
    run(['truncate', '-s', '16M', disk]);
    const table = (type: string) =>
      run(['sfdisk', '--quiet', disk], { input: Buffer.from(`label: gpt\n${type}\n`) });
    const publish = () =>
      served.write(
        'disk.raw',
        compression === 'none' ? fs.readFileSync(disk) : run([compression, '-c', disk]),
      );
    const expression = `raw,machine,verify=no:root:${server.url}/disk.raw`;
    table('type=U');
    publish();
    const bad = await check(expression, '--ram=2G');
    expect(lines(bad, 'failure')[0]).toContain("none of the image's partitions is a root partition");
    expect(bad.status).toBe(15);
    table('type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709');
    publish();
    const good = await check(expression, '--ram=2G');
    expect(good.stdout).toContain('it has a GPT with 1 partition, of which number 1 is the root');
    expect(good.status).toBe(0);
  });

  test.each(['--verbose', '--json'])('with a login is reported without it (%s)', async (how) => {
    const secret = (name: string) => `${server.url.replace('//', '//user:geheim@')}/${name}`;
    const operand = `raw,machine,mirror=${secret('gone.raw')}:root:${secret('image.raw.xz')}`;
    const results = [
      await check(keyring(), operand, how),
      await check(keyring(), `quiet rd.systemd.pull=rawx,machine::${secret('a.raw')}`, how),
      await check(keyring(), 'raw,machine,bootorigin::', `--boot-url=${secret('image.efi')}`, how),
    ];
    expect(results.map(({ status }) => status)).toEqual([0, 2, 0]);
    for (const { stdout, stderr } of results) expect(stdout + stderr).not.toContain('geheim');
  });

  test('whose second mirror has what the first one has not', async () => {
    const operand = `raw,machine,verify=no,mirror=${server.url}/plain.raw:root:${server.url}/gone.raw`;
    const result = await check(operand, '--ram=2G');
    expect(lines(result, 'warning').join('\n')).toContain(
      'gone.raw: the server answers 404 Not Found; another mirror has it',
    );
    expect(result.status).toBe(0);
  });

  test('beside another one: both share the RAM', async () => {
    const each = (name: string) => `rd.systemd.pull=raw,sysext,verify=no:${name}:${server.url}/huge.raw`;
    const result = await check(`${each('a')} ${each('b')}`, '--ram=5G');
    expect(lines(result, 'failure')).toHaveLength(1);
    expect(lines(result, 'failure')[0]).toContain('the other images');
    expect(result.status).toBe(14);
  });

  test('whose image is a qcow2 image says what becomes of it', async () => {
    const image = served.file('disk.qcow2');
    run(['qemu-img', 'convert', '-c', '-O', 'qcow2', served.file('plain.raw'), image]);
    run(['gzip', '--keep', image]);
    const plain = await check(`raw,machine,verify=no:root:${server.url}/disk.qcow2`, '--ram=2G');
    expect(lines(plain, 'ok')).toContain(
      'ok | image | a qcow2 image, which will be converted to a raw one of 8.0 MiB',
    );
    expect(plain.status).toBe(0);
    const packed = await check(`raw,machine,verify=no:root:${server.url}/disk.qcow2.gz`, '--ram=2G');
    expect(lines(packed, 'ok')).toContain(
      'ok | image | inside is a qcow2 image, which will be converted to a raw one of 8.0 MiB',
    );
    expect(packed.status).toBe(0);
    const tar = await check(`tar,machine,verify=no:root:${server.url}/disk.qcow2`, '--ram=2G');
    expect(lines(tar, 'failure')[0]).toContain('is a disk image (qcow2), not a tarball');
    run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', served.file('plain.raw'), '-F', 'raw', image]);
    const overlay = await check(`raw,machine,verify=no:root:${server.url}/disk.qcow2`, '--ram=2G');
    expect(lines(overlay, 'failure')[0]).toContain('the qcow2 image has a backing file');
    expect(overlay.status).toBe(12);
  });

  test('whose server sends no parts is warned about', async () => {
    await using plain = startWebServer(served.path, (request) =>
      new URL(request.url).pathname === '/plain.raw'
        ? new Response(fs.readFileSync(served.file('plain.raw')))
        : undefined,
    );
    const result = await check(`raw,machine,verify=no:root:${plain.url}/plain.raw`, '--ram=2G');
    expect(lines(result, 'warning').join('\n')).toContain('a download that breaks off starts over');
    expect(result.status).toBe(0);
  });

  test('asks the server for a few KiB of the image, and for nothing twice', async () => {
    let bytes = 0;
    const requests: string[] = [];
    await using counted = startWebServer(served.path, (request) => {
      const { pathname } = new URL(request.url);
      const range = request.headers.get('range') ?? '';
      requests.push(`${pathname} ${range}`);
      if (pathname !== '/image.raw.xz') return undefined;
      const file = fs.readFileSync(served.file('image.raw.xz'));
      const [, from = '0', to = '0'] = /bytes=(\d+)-(\d+)/.exec(range) ?? [];
      const part = file.subarray(Number(from), Number(to) + 1);
      bytes += part.length;
      return new Response(part, {
        status: 206,
        headers: { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${file.length}` },
      });
    });
    const result = await check(keyring(), `raw,machine:root:${counted.url}/image.raw.xz`, '--ram=2G');
    expect(result.status).toBe(0);
    expect(new Set(requests).size).toBe(requests.length);
    expect(bytes).toBeLessThan(256 * 1024);
  });
});

test('--json: what was checked, what would be pulled, and the code of a failure', async () => {
  const good = await checkUki(uki({ ...COMPLETE, ...keys }), '--json');
  const { boots, checks, pulls } = JSON.parse(good.stdout);
  expect(boots).toBe(true);
  expect(checks[0]).toEqual({
    stage: 'uki',
    state: 'ok',
    text: `image.efi, Linux ${RELEASE}`,
    hint: null,
    code: null,
  });
  expect(pulls).toMatchObject([
    {
      unit: 'rdpull@run-machines-bootorigin.raw.service',
      target: '/run/machines/bootorigin.raw',
      isRoot: true,
      type: 'raw',
      class: 'machine',
      verify: 'signature',
      urls: [`${server.url}/image.raw.xz`],
      uncompressed: 8 * 1024 * 1024,
      promised: { signedBy: { fingerprint: key } },
    },
  ]);
  const bad = await checkUki(uki(COMPLETE), '--json');
  const result = JSON.parse(bad.stdout);
  expect(result.boots).toBe(false);
  expect(result.checks.map(({ code }: { code: string | null }) => code)).toContain('keyring-missing');
  expect(bad.stderr).toBe('');
});

test('nothing is left behind in the directory for temporary files', async () => {
  using scratch = new TemporaryDirectory();
  const file = uki({ ...COMPLETE, ...keys });
  const args = ['check', file, `--boot-url=${server.url}/image.efi`];
  expect((await rdpull(args, { env: { TMPDIR: scratch.path } })).status).toBe(0);
  expect(scratch.names()).toEqual([]);
});

test('this machine asks for no pull', async () => {
  const result = await check();
  expect(lines(result, 'failure')[0]).toContain('the kernel command line of this machine asks for no pull');
  expect(result.status).toBe(2);
});

describe('refused before anything is asked', () => {
  test.each([
    [['--boot-url=ftp://h/x', 'raw,machine,bootorigin::'], 'is no http or https URL'],
    [['--ram=much', 'http://h/x.raw'], '--ram=much is not valid'],
    [['--placeholder=seral=1', 'http://h/{serial}.raw'], 'did you mean --placeholder=serial=VALUE?'],
    [['--placeholder=serial', 'http://h/{serial}.raw'], 'has no value'],
    [['quiet rd.systemd.pul=raw,machine::http://h/x.raw'], 'did you mean rd.systemd.pull=?'],
    [['http://h/image.efi'], 'download it, and tell where it is booted from'],
  ])('%p', async (args, message) => {
    const { status, stdout, stderr } = await check(...args);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });
});

describe('of a UKI that nobody has looked at', () => {
  const temporary = new TemporaryDirectory();
  afterAll(() => temporary[Symbol.dispose]());
  const withTmp = { env: { TMPDIR: temporary.path } };

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const)(
    'nothing is left in the temporary directory after %s, or after the next check',
    async (signal) => {
      const file = uki({ ...COMPLETE, ...keys });
      const { promise: isAsked, resolve: asked } = Promise.withResolvers<void>();
      await using silent = startWebServer(served.path, async () => {
        asked();
        await Bun.sleep(20_000);
        return new Response(null, { status: 404 });
      });
      const child = startRdpull(['check', file, `--boot-url=${silent.url}/image.efi`], withTmp);
      await isAsked;
      expect(temporary.names()).toHaveLength(1);
      child.kill(signal);
      await finished(child);
      if (signal === 'SIGKILL') await rdpull(['check', file], withTmp);
      expect(temporary.names()).toEqual([]);
    },
  );

  test('its words are bounded: only what the kernel keeps is looked at', async () => {
    const many = Array.from(
      { length: 900 },
      (_, number) => `rd.systemd.pull=raw,machine:i${number}:file:///x`,
    );
    const result = await check(uki({ ...COMPLETE }, { commandLine: many.join(' ') }));
    expect(result.stdout).toContain('/i40.raw');
    expect(result.stdout).not.toContain('/i60.raw');
    const odd = makeUki(served, 'odd.efi', [
      ['.cmdline', COMMAND_LINE],
      ['.uname', 'x'.repeat(65)],
      ['.linux', 'a kernel'],
    ]);
    expect((await check(odd)).stdout).toContain('its section .uname has 65 characters');
  });
});

test('what is fetched of an image is its start, and of an xz file its index', async () => {
  fs.writeFileSync(served.file('noise.raw'), noiseOf(8 * 1024 * 1024));
  run(['sh', '-c', 'xz -T2 --block-size=1MiB -0 -k noise.raw && zstd -q noise.raw'], { cwd: served.path });
  const log = directory.file('access.log');
  await using logging = await startNginx(served.path, { directives: `access_log ${log} combined;` });
  const KIB = 1024;
  const most = { 'noise.raw': 160 * KIB, 'noise.raw.xz': 224 * KIB, 'noise.raw.zst': 160 * KIB };
  for (const [name, bytes] of Object.entries(most)) {
    fs.writeFileSync(log, '');
    await check(`raw,machine,verify=no:x:${logging.url}/${name}`, '--ram=64G');
    const sent = [...fs.readFileSync(log, 'utf8').matchAll(/" \d+ (\d+) "/g)];
    expect(sent.reduce((sum, [, each]) => sum + Number(each), 0)).toBe(bytes);
  }
});
