import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import {
  type Finished,
  finished,
  finishedAfter,
  type Running,
  rdpull,
  startRdpull,
} from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { makeImage, writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

/** The server's directory, and what is served from it. */
const served = new TemporaryDirectory();
const gpg = new GpgHome();
const keys = new TemporaryDirectory();
let server: WebServer;
let image: Buffer;

beforeAll(() => {
  image = fs.readFileSync(makeImage(served));
  run(['xz', '-k', '-T2', '--block-size=1MiB', 'image.raw'], { cwd: served.path });
  run(['zstd', '-q', 'image.raw'], { cwd: served.path });
  fs.mkdirSync(served.file('root/etc'), { recursive: true });
  fs.writeFileSync(served.file('root/etc/os-release'), 'ID=rdpull-tree\n');
  run(['tar', '-caf', 'tree.tar.zst', '-C', 'root', '.'], { cwd: served.path });
  fs.rmSync(served.file('root'), { recursive: true });
  served.write('page.raw', '<!DOCTYPE html>\n<title>Not found</title>\n');
  const manifest = fs.readFileSync(writeChecksums(served));
  const key = gpg.generateKey('Image Builder <builder@example.com>');
  keys.write('good.pgp', gpg.exportKeys([key]));
  served.write('SHA256SUMS.gpg', gpg.sign(manifest, { by: key, armor: false }));
  const stranger = gpg.generateKey('Stranger <stranger@example.com>');
  keys.write('stranger.pgp', gpg.exportKeys([stranger]));
  gpg.revoke(key);
  keys.write('revoked.pgp', gpg.exportKeys([key]));
  server = startWebServer(served.path, (request) => {
    const { pathname } = new URL(request.url);
    if (pathname.startsWith('/401/')) return new Response(null, { status: 401 });
    if (pathname.startsWith('/500/')) return new Response(null, { status: 500 });
    return undefined;
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  gpg[Symbol.dispose]();
  for (const directory of [served, keys]) directory[Symbol.dispose]();
});

/** Pulls into `target`, and gives back what was said and what is there. */
async function pull(target: TemporaryDirectory, ...args: string[]): Promise<Finished> {
  return rdpull(['pull', `--image-root=${target.path}`, ...args]);
}

/** What a person reads on standard error, without the progress before it. */
function complaint({ stderr }: Finished): string[] {
  const lines = stderr.trimEnd().split('\n');
  return lines.slice(lines.findIndex((line) => line.startsWith('rdpull: error:')));
}

describe('a good image', () => {
  test.each([
    { name: 'image.raw.xz', options: ['--verify=checksum'] },
    { name: 'image.raw.zst', options: ['--verify=checksum'] },
    { name: 'image.raw', options: ['--verify=checksum'] },
    { name: 'image.raw.xz', options: ['--verify=no'] },
    { name: 'image.raw.xz', options: ['--verify=signature', '--keyring=good.pgp'] },
  ])('$name with $options is published whole under its own name', async ({ name, options }) => {
    using target = new TemporaryDirectory();
    const finished = await rdpull(
      ['pull', `--image-root=${target.path}`, ...options, `${server.url}/${name}`],
      { cwd: keys.path },
    );
    expect(finished.status).toBe(0);
    expect(finished.stdout).toBe(`${target.file('image.raw')}\n`);
    expect(target.names()).toEqual(['image.raw']);
    expect(fs.readFileSync(target.file('image.raw')).equals(image)).toBe(true);
  });

  test('the digest itself is enough, and no other file is asked for', async () => {
    using target = new TemporaryDirectory();
    const digest = run(['sha256sum', served.file('image.raw.xz')])
      .toString()
      .slice(0, 64);
    const before = server.requests.length;
    expect((await pull(target, `--verify=sha256:${digest}`, `${server.url}/image.raw.xz`)).status).toBe(0);
    expect(server.requests.slice(before)).toEqual(['GET /image.raw.xz']);
  });

  test('is sparse, has the exact length and the date of the server', async () => {
    using target = new TemporaryDirectory();
    await pull(target, '--verify=no', `${server.url}/image.raw.xz`);
    const stat = fs.statSync(target.file('image.raw'));
    expect(stat.size).toBe(image.length);
    expect(stat.blocks * 512).toBeLessThan(image.length / 2);
    const date = fs.statSync(served.file('image.raw.xz')).mtime;
    expect(Math.floor(stat.mtimeMs / 1000)).toBe(Math.floor(date.getTime() / 1000));
  });

  test('what vouches for it is said', async () => {
    using target = new TemporaryDirectory();
    const { stderr } = await pull(target, `--keyring=${keys.file('good.pgp')}`, `${server.url}/image.raw.xz`);
    expect(stderr).toMatch(
      /image\.raw: [\d.]+ KiB of xz received, 8\.0 MiB written in [\d.]+ s, verified by http:\S+\/SHA256SUMS, signed by Image Builder <builder@example\.com> \([0-9A-F]{40}\)/,
    );
  });

  test('an expression names class, local name and verification; options go before it', async () => {
    using target = new TemporaryDirectory();
    const expression = `raw,machine,verify=no:root:${server.url}/image.raw.xz`;
    expect((await pull(target, expression)).stdout).toBe(`${target.file('root.raw')}\n`);
    expect((await pull(target, '--local=other', expression)).stdout).toBe(`${target.file('other.raw')}\n`);
  });

  test('--read-only takes the right to write away', async () => {
    using target = new TemporaryDirectory();
    await pull(target, '--verify=no', '--read-only', `${server.url}/image.raw.xz`);
    expect(fs.statSync(target.file('image.raw')).mode & 0o777).toBe(0o444);
  });

  test('file: URLs are verified by the files beside them', async () => {
    using target = new TemporaryDirectory();
    const url = `file://${served.file('image.raw.xz')}`;
    expect((await pull(target, '--verify=checksum', url)).status).toBe(0);
    expect(fs.readFileSync(target.file('image.raw')).equals(image)).toBe(true);
  });

  test('a file that is not there is told as that, and is not needed where the image is there and kept', async () => {
    using target = new TemporaryDirectory();
    const missing = served.file('imaeg.raw');
    const { status, stderr } = await pull(target, '--verify=checksum', `file://${missing}`);
    expect(stderr).toContain(`rdpull: error: there is no file ${missing}\nrdpull: try: check the path\n`);
    expect(status).toBe(14);
    target.write('imaeg.raw', 'kept');
    expect((await pull(target, '--verify=checksum', '--keep', `file://${missing}`)).status).toBe(0);
  });

  test('--force replaces an image in one step', async () => {
    using target = new TemporaryDirectory();
    target.write('image.raw', 'old');
    expect((await pull(target, '--verify=no', '--force', `${server.url}/image.raw.xz`)).status).toBe(0);
    expect(target.names()).toEqual(['image.raw']);
    expect(fs.statSync(target.file('image.raw')).size).toBe(image.length);
  });

  test('--blockdev attaches it, and --json says where', async () => {
    using target = new TemporaryDirectory();
    const finished = await pull(
      target,
      '--verify=checksum',
      '--blockdev',
      '--json',
      `${server.url}/image.raw.xz`,
    );
    const { loop, sha256, decoded } = JSON.parse(finished.stdout);
    try {
      expect(loop.device).toMatch(/^\/dev\/loop\d+$/);
      expect(loop.fileSystem).toBe('ext4');
      expect(decoded).toBe(image.length);
      expect(sha256).toBe(
        run(['sha256sum', served.file('image.raw.xz')])
          .toString()
          .slice(0, 64),
      );
      expect(run(['losetup', '-nO', 'BACK-FILE', loop.device]).toString().trim()).toBe(
        target.file('image.raw'),
      );
    } finally {
      expect((await rdpull(['detach', target.file('image.raw')])).status).toBe(0);
    }
  });
});

describe('a good tarball', () => {
  test('is unpacked and mounted with --bind', async () => {
    using target = new TemporaryDirectory();
    using root = new TemporaryDirectory();
    const finished = await pull(
      target,
      '--verify=checksum',
      `--bind=${root.path}`,
      `${server.url}/tree.tar.zst`,
    );
    try {
      expect(finished.status).toBe(0);
      expect(finished.stdout).toBe(`${target.file('tree')}\n${root.path}\n`);
      expect(fs.readFileSync(root.file('etc/os-release'), 'utf8')).toBe('ID=rdpull-tree\n');
    } finally {
      run(['umount', root.path]);
    }
    expect(target.names()).toEqual(['tree']);
  });

  test('one that wraps an OS tree into a directory is unwrapped, as systemd does', async () => {
    using target = new TemporaryDirectory();
    using source = new TemporaryDirectory();
    fs.mkdirSync(source.file('wrapped/usr/lib'), { recursive: true });
    fs.writeFileSync(source.file('wrapped/usr/lib/os-release'), 'ID=wrapped\n');
    run(['tar', '-cf', 'w.tar', 'wrapped'], { cwd: source.path });
    expect((await pull(target, '--verify=no', `file://${source.file('w.tar')}`)).status).toBe(0);
    expect(target.names()).toEqual(['w']);
    expect(target.names('w')).toEqual(['usr']);
  });

  test('one that says nothing of its own root gets a root that everybody may enter', async () => {
    using target = new TemporaryDirectory();
    using source = new TemporaryDirectory();
    fs.mkdirSync(source.file('etc'));
    source.write('etc/os-release', 'ID=rootless\n');
    run(['tar', '-cf', 'r.tar', 'etc'], { cwd: source.path });
    expect((await pull(target, '--verify=no', `file://${source.file('r.tar')}`)).status).toBe(0);
    expect(fs.statSync(target.file('r')).mode & 0o7777).toBe(0o755);
    expect(target.names()).toEqual(['r']);
  });

  test('--force replaces a tree', async () => {
    using target = new TemporaryDirectory();
    fs.mkdirSync(target.file('tree/old'), { recursive: true });
    expect((await pull(target, '--verify=no', '--force', `${server.url}/tree.tar.zst`)).status).toBe(0);
    expect(target.names()).toEqual(['tree']);
    expect(target.names('tree')).toEqual(['etc']);
  });
});

describe('a failure leaves nothing behind and says what to try', () => {
  test('nor the directories that it made for --image-root', async () => {
    using target = new TemporaryDirectory();
    const root = `--image-root=${target.file('a/b/c')}`;
    const { status } = await rdpull([
      'pull',
      '--verify=no',
      '--patience=0',
      root,
      `${server.url}/missing.raw`,
    ]);
    expect(status).toBe(11);
    expect(target.names()).toEqual([]);
  });

  /** Pulls, expects `status`, an untouched directory, and gives back the complaint. */
  async function failed(status: number, ...args: string[]): Promise<string[]> {
    using target = new TemporaryDirectory();
    target.write('bystander', '');
    const finished = await pull(target, '--patience=0', ...args);
    expect(finished.status).toBe(status);
    expect(finished.stdout).toBe('');
    expect(target.names()).toEqual(['bystander']);
    return complaint(finished);
  }
  const keyring = (name: string) => `--keyring=${keys.file(name)}`;

  test.each([
    ['file', '', ' is not a directory'],
    ['file', '/a/b', '/a/b cannot be made: {} is not a directory'],
    ['dangling', '', ' is not a directory'],
  ])('an --image-root that is none, before anything is asked for: %s%s', async (name, behind, told) => {
    using target = new TemporaryDirectory();
    target.write('file', '');
    fs.symlinkSync('nowhere', target.file('dangling'));
    const before = server.requests.length;
    const place = target.file(name);
    const args = [`--image-root=${place}${behind}`, '--verify=checksum', `${server.url}/image.raw`];
    const { status, stderr } = await rdpull(['pull', ...args]);
    expect(stderr).toBe(
      `rdpull: error: ${place}${told.replace('{}', place)}\n` +
        'rdpull: try: name a directory for images with --image-root=DIR\n',
    );
    expect(status).toBe(14);
    expect(server.requests.length).toBe(before);
  });

  test('unknown host', async () => {
    const url = 'http://no-such-host.invalid/image.raw.xz';
    expect(await failed(10, '--verify=no', url)).toEqual([
      `rdpull: error: ${url}: the name of the host cannot be resolved`,
      'rdpull: try: check the name, and the name server in /etc/resolv.conf; an IP address in the URL needs neither',
    ]);
  });

  test('connection refused', async () => {
    expect(await failed(10, '--verify=no', 'http://127.0.0.1:9/image.raw.xz')).toEqual([
      'rdpull: error: http://127.0.0.1:9/image.raw.xz: the connection was refused',
      'rdpull: try: check that the web server runs, that the port is right, and that this machine has a route to it',
    ]);
  });

  test('404', async () => {
    expect(await failed(11, '--verify=no', `${server.url}/missing.raw.xz`)).toEqual([
      `rdpull: error: ${server.url}/missing.raw.xz: the server answers 404 Not Found`,
      'rdpull: try: check the name of the file, and that it lies in the directory that is served',
    ]);
  });

  test('401', async () => {
    expect(await failed(11, '--verify=no', `${server.url}/401/image.raw.xz`)).toEqual([
      `rdpull: error: ${server.url}/401/image.raw.xz: the server answers 401 Unauthorized`,
      'rdpull: try: the server wants a login, or another one: pass --login=FILE or --bearer=FILE, or put it into the URL as https://USER:PASSWORD@HOST/FILE',
    ]);
  });

  test('500, also for the checksum file', async () => {
    expect((await failed(11, '--verify=no', `${server.url}/500/image.raw.xz`))[0]).toBe(
      `rdpull: error: ${server.url}/500/image.raw.xz: the server answers 500 Internal Server Error`,
    );
    expect((await failed(11, '--verify=checksum', `${server.url}/500/image.raw.xz`))[0]).toBe(
      `rdpull: error: ${server.url}/500/image.raw.xz.sha256: the server answers 500 Internal Server Error`,
    );
  });

  test('a web page in place of the image', async () => {
    expect(await failed(11, '--verify=no', `${server.url}/page.raw`)).toEqual([
      `rdpull: error: ${server.url}/page.raw: the file is a web page, not an image`,
      'rdpull: try: open the URL in a browser: the server may ask for a login, or answer missing files with a page',
    ]);
  });

  test('an empty file', async () => {
    served.write('empty.raw', '');
    expect((await failed(12, '--verify=no', `${server.url}/empty.raw`))[0]).toBe(
      `rdpull: error: ${server.url}/empty.raw: the file is empty`,
    );
  });

  test('another digest than the checksum file promises', async () => {
    const bytes = fs.readFileSync(served.file('image.raw.xz'));
    using other = new TemporaryDirectory();
    other.write('image.raw.xz', bytes);
    other.write('SHA256SUMS', `${'0'.repeat(64)}  image.raw.xz\n`);
    await using evil = startWebServer(other.path);
    const actual = run(['sha256sum', other.file('image.raw.xz')])
      .toString()
      .slice(0, 64);
    expect((await failed(13, '--verify=checksum', `${evil.url}/image.raw.xz`))[0]).toBe(
      `rdpull: error: ${evil.url}/image.raw.xz is not what was promised: its ${bytes.length} bytes have the SHA-256 ${actual}, but ${evil.url}/SHA256SUMS promises ${'0'.repeat(64)}`,
    );
  });

  test('a file that SHA256SUMS does not list', async () => {
    served.write('new.raw.xz', fs.readFileSync(served.file('image.raw.xz')));
    const [error = ''] = await failed(13, '--verify=checksum', `${server.url}/new.raw.xz`);
    expect(error).toContain(`${server.url}/SHA256SUMS`);
    expect(error).toContain('new.raw.xz');
  });

  test('no checksum file at all', async () => {
    using bare = new TemporaryDirectory();
    bare.write('image.raw.xz', fs.readFileSync(served.file('image.raw.xz')));
    await using bareServer = startWebServer(bare.path);
    const [error = ''] = await failed(13, '--verify=checksum', `${bareServer.url}/image.raw.xz`);
    expect(error).toContain(`${bareServer.url}/image.raw.xz.sha256`);
    expect(error).toContain(`${bareServer.url}/SHA256SUMS`);
  });

  test('a signature by a key that is not in the keyring', async () => {
    const [error = '', hint = ''] = await failed(13, keyring('stranger.pgp'), `${server.url}/image.raw.xz`);
    expect(error).toContain(keys.file('stranger.pgp'));
    expect(hint).toContain('--keyring=FILE');
  });

  test('a signature by a revoked key', async () => {
    const [error = ''] = await failed(13, keyring('revoked.pgp'), `${server.url}/image.raw.xz`);
    expect(error).toContain('revoked');
    expect(error).toContain('Image Builder <builder@example.com>');
  });

  test('a SHA256SUMS that was tampered with', async () => {
    using other = new TemporaryDirectory();
    other.write('image.raw.xz', 'something else');
    writeChecksums(other);
    other.write('SHA256SUMS.gpg', fs.readFileSync(served.file('SHA256SUMS.gpg')));
    await using evil = startWebServer(other.path);
    const [error = ''] = await failed(13, keyring('good.pgp'), `${evil.url}/image.raw.xz`);
    expect(error).toContain(`${evil.url}/SHA256SUMS`);
    expect(evil.requests).not.toContain('GET /image.raw.xz');
  });

  test('no keyring: nothing is asked of the server', async () => {
    using target = new TemporaryDirectory();
    using empty = new TemporaryDirectory();
    const before = server.requests.length;
    const script = `for d in /etc/systemd /usr/lib/systemd; do [ ! -d $d ] || mount --bind ${empty.path} $d; done; exec "$@"`;
    const finished = await rdpull(['pull', `--image-root=${target.path}`, `${server.url}/image.raw.xz`], {
      wrapper: ['unshare', '-m', 'sh', '-c', script, 'sh'],
    });
    expect(finished.status).toBe(13);
    expect(complaint(finished)[0]).toContain('/etc/systemd/import-pubring.pgp');
    expect(server.requests.length).toBe(before);
  });

  test('a truncated xz stream, even with verify=no', async () => {
    served.write('short.raw.xz', fs.readFileSync(served.file('image.raw.xz')).subarray(0, -100));
    expect(await failed(12, '--verify=no', `${server.url}/short.raw.xz`)).toEqual([
      `rdpull: error: ${server.url}/short.raw.xz: the xz stream ends too early`,
      'rdpull: try: the file on the server is damaged or incomplete: build or upload it again, and let a checksum file guard it',
    ]);
  });

  test('an xz stream with a corrupted middle', async () => {
    const bytes = fs.readFileSync(served.file('image.raw.xz'));
    served.write('bad.raw.xz', bytes.fill(0xaa, bytes.length >> 1, (bytes.length >> 1) + 32));
    const [error = ''] = await failed(12, '--verify=no', `${server.url}/bad.raw.xz`);
    expect(error).toStartWith(`rdpull: error: ${server.url}/bad.raw.xz: the xz stream is corrupt`);
  });

  test('a target that exists, before any download', async () => {
    using target = new TemporaryDirectory();
    target.write('image.raw', 'precious');
    const before = server.requests.length;
    const finished = await pull(target, '--verify=no', `${server.url}/image.raw.xz`);
    expect(finished.status).toBe(14);
    expect(complaint(finished)).toEqual([
      `rdpull: error: ${target.file('image.raw')} exists already`,
      'rdpull: try: use it as it is (--keep, or rdpull attach), choose another name with --local=NAME, or replace it with --force',
    ]);
    expect(server.requests.length).toBe(before);
    expect(fs.readFileSync(target.file('image.raw'), 'utf8')).toBe('precious');
  });

  test.each([
    ['image.raw.xz', 'image.raw', 'a link that leads nowhere', ['ln', '-s', '/nonexistent']],
    ['image.raw.xz', 'image.raw', 'no file of a disk image', ['mkdir']],
    ['image.raw.xz', 'image.raw', 'no file of a disk image', ['mkfifo']],
    ['image.raw.xz', 'image.raw', 'no file of a disk image', ['ln', '-s', '/dev/null']],
    ['tree.tar.zst', 'tree', 'a link that leads nowhere', ['ln', '-s', '/nonexistent']],
    ['tree.tar.zst', 'tree', 'no directory', ['touch']],
    ['tree.tar.zst', 'tree', 'a link that leads nowhere', ['ln', '-s', 'tree']],
  ])('--keep of %s where %s is %s (%j), before any download', async (name, local, what, command) => {
    using target = new TemporaryDirectory();
    run([...command, target.file(local)]);
    const before = server.requests.length;
    const finished = await pull(target, '--verify=no', '--keep', `${server.url}/${name}`);
    expect(complaint(finished)).toEqual([
      `rdpull: error: ${target.file(local)} cannot be kept: it is ${what}`,
      'rdpull: try: remove it, choose another name with --local=NAME, or replace it with --force in place of --keep',
    ]);
    expect(finished).toMatchObject({ status: 14, stdout: '' });
    expect(server.requests.length).toBe(before);
    expect(target.names()).toEqual([local]);
    const forced = await pull(target, '--verify=no', '--force', `${server.url}/${name}`);
    expect(forced.status).toBe(0);
  });

  test('--keep in a directory that cannot be one is told as without it', async () => {
    using target = new TemporaryDirectory();
    const place = `--image-root=${target.write('file', '')}/below`;
    const [without, keeping] = await Promise.all(
      [[], ['--keep']].map((options) =>
        rdpull(['pull', '--verify=no', place, ...options, `${server.url}/image.raw`]),
      ),
    );
    expect(keeping?.status).toBe(14);
    expect(keeping).toEqual(without);
  });

  test('--keep of what a link leads to keeps it', async () => {
    using target = new TemporaryDirectory();
    fs.mkdirSync(target.file('elsewhere'));
    for (const [local, name, place] of [
      ['image.raw', 'image.raw.xz', served.file('image.raw')],
      ['tree', 'tree.tar.zst', 'elsewhere'],
    ] as const) {
      fs.symlinkSync(place, target.file(local));
      const { status, stdout } = await pull(target, '--verify=no', '--keep', `${server.url}/${name}`);
      expect({ status, stdout }).toEqual({ status: 0, stdout: `${target.file(local)}\n` });
    }
  });

  test('a full disk, with the figures', async () => {
    using target = new TemporaryDirectory();
    run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', target.path]);
    try {
      served.write('noise.raw', noiseOf(3_000_000));
      const finished = await pull(target, '--verify=no', '--overcommit', `${server.url}/noise.raw`);
      expect(finished.status).toBe(14);
      const [error = '', hint = ''] = complaint(finished);
      expect(error).toMatch(
        /noise\.raw: the file system of \S+ is full: .* of the image were written, and it holds 1\.0 MiB in all; the image is 2\.9 MiB after decompression$/,
      );
      expect(hint).toContain('--image-root=DIR');
      expect(target.names()).toEqual([]);
    } finally {
      run(['umount', target.path]);
    }
  });

  test('a full disk while unpacking a tarball', async () => {
    using target = new TemporaryDirectory();
    run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', target.path]);
    try {
      using source = new TemporaryDirectory();
      source.write('big', noiseOf(3_000_000, 1));
      run(['tar', '-cf', 'big.tar', 'big'], { cwd: source.path });
      const finished = await pull(target, '--verify=no', `file://${source.file('big.tar')}`);
      expect(finished.status).toBe(14);
      expect(complaint(finished)[0]).toContain('1.0 MiB');
      expect(target.names()).toEqual([]);
    } finally {
      run(['umount', target.path]);
    }
  });

  test('not root, where root is needed', async () => {
    using open = new TemporaryDirectory();
    fs.chmodSync(open.path, 0o777);
    const asNobody = (...args: string[]) =>
      rdpull(['pull', `--image-root=${open.path}`, '--verify=no', ...args], { user: 'nobody' });
    const device = await asNobody('--blockdev', `${server.url}/image.raw.xz`);
    expect(device.status).toBe(15);
    expect(complaint(device)).toEqual([
      'rdpull: error: attaching a loop device needs root',
      'rdpull: try: run it again with sudo',
    ]);
    const tree = await asNobody(`${server.url}/tree.tar.zst`);
    expect(tree.status).toBe(15);
    expect(complaint(tree)[0]).toBe('rdpull: error: unpacking a root file system needs root');
    expect(open.names()).toEqual([]);
    expect((await asNobody(`${server.url}/image.raw.xz`)).status).toBe(0);
  });

  test('no loop module, before the download', async () => {
    using target = new TemporaryDirectory();
    using empty = new TemporaryDirectory();
    const before = server.requests.length;
    const finished = await rdpull(
      ['pull', `--image-root=${target.path}`, '--verify=no', '--blockdev', `${server.url}/image.raw.xz`],
      { wrapper: ['unshare', '-m', 'sh', '-c', `mount --bind ${empty.path} /dev && exec "$@"`, 'sh'] },
    );
    expect(finished.status).toBe(15);
    expect(complaint(finished)[0]).toBe(
      'rdpull: error: this system has no loop devices: /dev/loop-control is not there',
    );
    expect(complaint(finished)[1]).toContain('modprobe loop');
    expect(server.requests.length).toBe(before);
  });

  test('an image that cannot be attached stays, and is said to be complete', async () => {
    using target = new TemporaryDirectory();
    served.write('text.raw', 'not a disk image at all\n'.repeat(400));
    const finished = await pull(target, '--verify=no', '--blockdev', `${server.url}/text.raw`);
    expect(finished.status).toBe(15);
    expect(complaint(finished).at(-1)).toContain(`the image itself is complete: ${target.file('text.raw')}`);
    expect(run(['losetup', '-a']).toString()).not.toContain(target.path);
  });
});

describe('the boot origin', () => {
  /** Runs rdpull in a mount namespace whose EFI variables say that the UKI came from `url`. */
  const bootedFrom = (url: string | undefined, args: string[]): Promise<Finished> =>
    finished(startBootedFrom(url, args));

  function startBootedFrom(url: string | undefined, args: string[]): Running {
    const efivars = '/sys/firmware/efi/efivars';
    const variable = 'StubDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
    const value = Buffer.concat([Buffer.from([6, 0, 0, 0]), Buffer.from(`${url}\0`, 'utf16le')]).toString(
      'hex',
    );
    const write = url === undefined ? '' : `echo ${value} | xxd -r -p > ${efivars}/${variable};`;
    const script = `mount -t tmpfs tmpfs /sys/firmware && mkdir -p ${efivars}; ${write} exec "$@"`;
    return startRdpull(args, { wrapper: ['unshare', '-m', 'sh', '-c', script, 'sh'] });
  }

  test('a named file beside the UKI', async () => {
    using target = new TemporaryDirectory();
    const expression = 'raw,machine,verify=no,bootorigin:root:image.raw.xz';
    const run = await bootedFrom(`${server.url}/uki.efi`, [
      'pull',
      `--image-root=${target.path}`,
      expression,
    ]);
    expect(run.stdout).toBe(`${target.file('root.raw')}\n`);
  });

  test('no name: the first file called like the UKI', async () => {
    using target = new TemporaryDirectory();
    const before = server.requests.length;
    const run = await bootedFrom(`${server.url}/image.efi`, [
      'pull',
      `--image-root=${target.path}`,
      'raw,machine,verify=no,bootorigin::',
    ]);
    expect(run.stdout).toBe(`${target.file('image.raw')}\n`);
    expect(server.requests.slice(before, before + 2)).toEqual(['HEAD /image.raw.xz', 'GET /image.raw.xz']);
  });

  test('a server that cannot be reached yet is waited for', async () => {
    using target = new TemporaryDirectory();
    const port = Number(new URL(server.url).port);
    await server[Symbol.asyncDispose]();
    const pulling = startBootedFrom(`http://127.0.0.1:${port}/image.efi`, [
      'pull',
      '--patience=20',
      `--image-root=${target.path}`,
      'raw,machine,verify=no,bootorigin::',
    ]);
    const refused = 'the connection was refused; trying again in';
    const { stderr, stdout } = await finishedAfter(pulling, refused, () => {
      server = startWebServer(served.path, undefined, undefined, port);
    });
    expect(stderr).toContain(refused);
    expect(stdout).toBe(`${target.file('image.raw')}\n`);
  });

  test('a machine that was not booted over HTTP has nothing to pull, which is no failure', async () => {
    using target = new TemporaryDirectory();
    const run = await bootedFrom(undefined, [
      'pull',
      `--image-root=${target.path}`,
      'raw,machine,bootorigin:root:image.raw.xz',
    ]);
    expect(run.status).toBe(0);
    expect(run.stderr).toBe(
      'rdpull: this machine was not booted over HTTP (no boot URL in the EFI variables): nothing to pull\n',
    );
    expect(target.names()).toEqual([]);
  });
});

test('paths of the target are absolute whatever --image-root says', async () => {
  using target = new TemporaryDirectory();
  const finished = await rdpull(['pull', '--image-root=.', '--verify=no', `${server.url}/image.raw.xz`], {
    cwd: target.path,
  });
  expect(finished.stdout).toBe(`${path.resolve(target.path, 'image.raw')}\n`);
});
