import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { DamagedDisk } from '../fixtures/damaged-disk.ts';
import { rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { RdpullServe } from '../fixtures/rdpull-serve.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeUki } from '../fixtures/uki.ts';

const MIB = 1024 * 1024;

let served: TemporaryDirectory;
let other: TemporaryDirectory;
beforeEach(() => {
  served = new TemporaryDirectory();
  other = new TemporaryDirectory();
});
afterEach(() => {
  served[Symbol.dispose]();
  other[Symbol.dispose]();
});

let made = 0;
/** Another file each time. */
const random = (name: string, bytes: number) => served.write(name, noiseOf(bytes, made++));

/** What curl(1) says of an answer. */
function curl(...args: string[]): { status: number; stdout: Buffer } {
  const { exitCode, stdout } = Bun.spawnSync(['curl', '-s', '--max-time', '60', ...args]);
  return { status: exitCode, stdout };
}
const code = (...args: string[]) => curl('-o', '/dev/null', '-w', '%{http_code}', ...args).stdout.toString();

describe('what is told at the start', () => {
  test('the URLs, the line for the firmware, and what each UKI pulls', async () => {
    makeUki(served, 'image.efi', [['.cmdline', 'quiet rd.systemd.pull=raw,machine,bootorigin::']]);
    makeUki(served, 'other.efi', [['.cmdline', 'rd.systemd.pull=tar,machine,bootorigin:root:tree.tar.zst']]);
    makeUki(served, 'silent.efi', [['.cmdline', 'quiet']]);
    random('image.raw.xz', 2 * MIB);
    random('image.raw', 3 * MIB);
    fs.utimesSync(served.file('image.raw.xz'), 1000, 1000);
    random('left.raw', 10);
    const server = await RdpullServe.start(served.path, ['--address=127.0.0.1']);
    const { stdout, stderr, status } = await server.stop();
    const text = (stdout + stderr)
      .replaceAll(String(server.port), 'PORT')
      .replaceAll(served.path, 'DIR')
      .replaceAll(/ \(\d[\d.]* KiB\)/g, ' (SIZE)');
    const golden = path.join(import.meta.dir, 'serve/start.txt');
    expect(text).toBe(fs.readFileSync(golden, 'utf8'));
    expect(status).toBe(0);
  });

  test('a UKI with a name that a shell would act on: what is to be pasted is quoted', async () => {
    makeUki(served, "it's.efi", [['.cmdline', 'quiet']]);
    const server = await RdpullServe.start(served.path, ['--address=127.0.0.1']);
    const { stdout } = await server.stop();
    expect(stdout).toMatch(/ rdpull boot-entry add --first 'http:\/\/\S+\/it'\\''s\.efi'$/m);
  });

  test('a SHA256SUMS that somebody has left there, and that is not right any more', async () => {
    random('image.raw', 100);
    served.write('SHA256SUMS', `${'0'.repeat(64)}  image.raw\n`);
    random('new.raw', 100);
    await using server = await RdpullServe.start(served.path);
    expect(curl(server.url('SHA256SUMS')).stdout.toString()).toStartWith('0000');
    const { stderr } = await server.stop();
    expect(stderr).toContain('warning: SHA256SUMS has another digest for image.raw than it has now');
    expect(stderr).toContain('warning: new.raw is not in the SHA256SUMS beside it');
  });
});

describe('a file', () => {
  test('is sent whole, in parts, or not at all when it is known already', async () => {
    random('image.raw.xz', 3 * MIB);
    await using server = await RdpullServe.start(served.path);
    const url = server.url('image.raw.xz');
    const content = fs.readFileSync(served.file('image.raw.xz'));
    const head = curl('-I', url).stdout.toString();
    expect(head).toStartWith('HTTP/1.1 200 OK\r\n');
    for (const field of [
      'content-length: 3145728',
      'accept-ranges: bytes',
      'content-type: application/x-xz',
    ]) {
      expect(head.toLowerCase()).toContain(`\r\n${field}\r\n`);
    }
    expect(head.toLowerCase()).not.toContain('content-encoding');
    expect(curl(url).stdout.equals(content)).toBe(true);
    expect(curl('-r', '1000000-1999999', url).stdout.equals(content.subarray(1_000_000, 2_000_000))).toBe(
      true,
    );
    expect(curl('-r', '-5', url).stdout.equals(content.subarray(-5))).toBe(true);
    expect(code('-r', '3145728-', url)).toBe('416');
    const [, tag = ''] = /^etag: (.*)\r$/im.exec(head) ?? [];
    expect(code('-H', `If-None-Match: ${tag}`, url)).toBe('304');
    expect(code('-H', `If-Range: ${tag}`, '-r', '5-', url)).toBe('206');
    expect(code('-H', 'If-Range: "another"', '-r', '5-', url)).toBe('200');
    expect(code('-X', 'POST', url)).toBe('405');
    expect(code(server.url('missing'))).toBe('404');
  });

  test('that broke off is completed by curl -C -', async () => {
    random('image.raw', 3 * MIB);
    await using server = await RdpullServe.start(served.path);
    const content = fs.readFileSync(served.file('image.raw'));
    other.write('part', content.subarray(0, MIB));
    curl('-C', '-', '-o', other.file('part'), server.url('image.raw'));
    expect(fs.readFileSync(other.file('part')).equals(content)).toBe(true);
    expect((await server.stop()).stderr).toContain('  206, 2.0 MiB from 1.0 MiB on in ');
  });

  test('has another entity tag as soon as it has another content, of the same size and date', async () => {
    random('image.raw', 100);
    fs.utimesSync(served.file('image.raw'), 1000, 1000);
    await using server = await RdpullServe.start(served.path);
    const tag = () => /^etag: (.*)\r$/im.exec(curl('-I', server.url('image.raw')).stdout.toString())?.[1];
    const before = tag();
    expect(tag()).toBe(before);
    random('image.raw', 100);
    fs.utimesSync(served.file('image.raw'), 1000, 1000);
    expect(tag()).not.toBe(before);
  });

  test('of the development loop goes on where a lost connection left it', async () => {
    random('image.raw', 24 * MIB);
    await using server = await RdpullServe.start(served.path, ['--json']);
    await using wire = await cuttingProxy(server.port, 5 * MIB);
    const pulled = await rdpull([
      'pull',
      '--verify=checksum',
      `--image-root=${other.path}`,
      `http://127.0.0.1:${wire.port}/image.raw`,
    ]);
    expect(pulled.status).toBe(0);
    expect(fs.readFileSync(other.file('image.raw')).equals(fs.readFileSync(served.file('image.raw')))).toBe(
      true,
    );
    const { stdout } = await server.stop();
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const [lost, resumed] = events.filter((event) => event['path'] === '/image.raw');
    expect(lost).toMatchObject({ status: 200, reason: expect.stringContaining('hung up') });
    expect(resumed).toMatchObject({ status: 206, userAgent: expect.stringMatching(/^rdpull\//) });
    expect(Number(resumed?.['start'])).toBeGreaterThan(2 * MIB);
  });

  test('that is written to while it is sent is not completed', async () => {
    random('image.raw', 64 * MIB);
    await using server = await RdpullServe.start(served.path);
    const child = Bun.spawn([
      'curl',
      '-s',
      '--limit-rate',
      '16M',
      '-o',
      other.file('x'),
      server.url('image.raw'),
    ]);
    await Bun.sleep(500);
    const fd = fs.openSync(served.file('image.raw'), 'r+');
    fs.writeSync(fd, 'another', 60 * MIB);
    fs.closeSync(fd);
    // CURLE_PARTIAL_FILE, libcurl-errors(3).
    expect(await child.exited).toBe(18);
    expect((await server.stop()).stderr).toContain('the file has changed while it was sent');
  });

  test('that gives its name to a new one is sent to its end', async () => {
    random('image.raw', 32 * MIB);
    const content = fs.readFileSync(served.file('image.raw'));
    await using server = await RdpullServe.start(served.path);
    const child = Bun.spawn([
      'curl',
      '-s',
      '--limit-rate',
      '16M',
      '-o',
      other.file('x'),
      server.url('image.raw'),
    ]);
    while ((fs.statSync(other.file('x'), { throwIfNoEntry: false })?.size ?? 0) === 0) await Bun.sleep(10);
    random('.new', 1000);
    fs.renameSync(served.file('.new'), served.file('image.raw'));
    expect(await child.exited).toBe(0);
    expect(fs.readFileSync(other.file('x')).equals(content)).toBe(true);
    expect(curl(server.url('image.raw')).stdout.length).toBe(1000);
  });

  test('goes to several machines at once, also over IPv6', async () => {
    random('image.raw', 32 * MIB);
    await using server = await RdpullServe.start(served.path);
    const hosts = ['127.0.0.1', '[::1]', '127.0.0.1', '[::1]'];
    const children = hosts.map((host, index) =>
      Bun.spawn(['curl', '-s', '-o', other.file(String(index)), `http://${host}:${server.port}/image.raw`]),
    );
    for (const child of children) expect(await child.exited).toBe(0);
    const content = fs.readFileSync(served.file('image.raw'));
    for (const index of hosts.keys()) {
      expect(fs.readFileSync(other.file(String(index))).equals(content)).toBe(true);
    }
    expect((await server.stop()).stderr).toContain('rdpull: ::1  GET /image.raw  200, 32.0 MiB in ');
  });

  test('takes no memory for a client that does not take it', async () => {
    run(['truncate', '-s', '1G', served.file('image.raw')]);
    await using server = await RdpullServe.start(served.path);
    const deaf = net.connect(server.port, '127.0.0.1');
    deaf.pause();
    deaf.write('GET /image.raw HTTP/1.1\r\nHost: x\r\n\r\n');
    await Bun.sleep(1500);
    const status = fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
    deaf.destroy();
    expect(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1])).toBeLessThan(200 * 1024);
  });
});

describe('SHA256SUMS', () => {
  test('is made for what is there, and signed so that gpg and rdpull accept it', async () => {
    using gpg = new GpgHome();
    const key = gpg.generateKey('Image Builder <builder@example.com>');
    const secret = other.write('secret.pgp', gpg.exportSecretKey(key));
    const keyring = other.write('keys.pgp', gpg.exportKeys([key]));
    random('image.raw', MIB);
    random('with space.raw', 10);
    served.write('.hidden', 'x');
    await using server = await RdpullServe.start(served.path, [`--sign=${secret}`]);
    for (const round of [1, 2]) {
      const list = curl(server.url('SHA256SUMS')).stdout;
      expect(list.toString().match(/\*.*/g)).toEqual(['*image.raw', '*with space.raw']);
      run(['sha256sum', '--check', '--strict', other.write('list', list)], { cwd: served.path });
      const signature = other.write('signature', curl(server.url('SHA256SUMS.gpg')).stdout);
      gpg.run(['--verify', signature, other.file('list')]);
      const pulled = await rdpull([
        'pull',
        '--force',
        `--keyring=${keyring}`,
        `--image-root=${other.path}`,
        server.url('image.raw'),
      ]);
      expect(pulled).toMatchObject({ status: 0, stderr: expect.stringContaining('signed by Image Builder') });
      // The next image under the same name.
      if (round === 1) random('image.raw', MIB);
    }
  });

  test('and its signature are of one moment, also when the image is replaced between the two', async () => {
    using gpg = new GpgHome();
    const secret = other.write('secret.pgp', gpg.exportSecretKey(gpg.generateKey('B <b@example.com>')));
    random('image.raw', MIB);
    await using server = await RdpullServe.start(served.path, [`--sign=${secret}`]);
    other.write('list', curl(server.url('SHA256SUMS')).stdout);
    random('image.raw', MIB);
    other.write('signature', curl(server.url('SHA256SUMS.gpg')).stdout);
    gpg.run(['--verify', other.file('signature'), other.file('list')]);
  });

  test('without a key has no signature, not even one that lies there', async () => {
    random('image.raw', 10);
    served.write('SHA256SUMS.gpg', 'of another list');
    await using server = await RdpullServe.start(served.path);
    expect(code(server.url('SHA256SUMS.gpg'))).toBe('404');
  });

  test('of a directory below lists what is in there', async () => {
    fs.mkdirSync(served.file('below'));
    random('below/image.raw', 10);
    await using server = await RdpullServe.start(served.path);
    expect(curl(server.url('below/SHA256SUMS')).stdout.toString()).toMatch(/^[0-9a-f]{64} \*image\.raw\n$/);
    expect(code(server.url('nowhere/SHA256SUMS'))).toBe('404');
  });
});

describe('of a disk that fails', () => {
  /** Files of which one fails at once, and one in its third MiB. */
  function damaged(): DamagedDisk {
    const disk = new DamagedDisk();
    const start = 'the first block'.repeat(1000);
    const third = 'a block of the third MiB'.repeat(1000);
    fs.writeFileSync(`${disk.path}/at-once.raw`, start);
    fs.writeFileSync(
      `${disk.path}/later.raw`,
      Buffer.concat([Buffer.alloc(2 * MIB, 'good'), Buffer.from(third), Buffer.alloc(MIB, 'end')]),
    );
    fs.writeFileSync(`${disk.path}/whole.raw`, 'whole');
    disk.damage(Buffer.from(start.slice(0, 4096)));
    disk.damage(Buffer.from(third.slice(0, 4096)));
    return disk;
  }

  test('what can be read is served, listed and vouched for; and who asks for the rest is told', async () => {
    using disk = damaged();
    await using server = await RdpullServe.start(disk.path);
    expect(curl(server.url('whole.raw')).stdout.toString()).toBe('whole');
    expect(
      curl(server.url(''))
        .stdout.toString()
        .match(/[a-z-]+\.raw(?=<)/g),
    ).toEqual(['later.raw', 'whole.raw']);
    expect(curl(server.url('SHA256SUMS')).stdout.toString()).toMatch(/^[0-9a-f]{64} \*whole\.raw\n$/);
    expect(code(server.url('at-once.raw'))).toBe('500');
    const { stderr } = await server.stop();
    expect(stderr).toContain('GET /at-once.raw  500, 18 B in');
    expect(stderr).toContain(': it cannot be read: EIO: i/o error, read');
    expect(stderr).toContain(
      'warning: later.raw is not in SHA256SUMS: it cannot be read: EIO: i/o error, read',
    );
  });

  test('a transfer that fails is over: it has a line, and no row any more', async () => {
    using disk = damaged();
    await using server = await RdpullServe.start(disk.path, ['--json']);
    const { status, stdout } = curl(server.url('later.raw'));
    expect(status).not.toBe(0);
    expect(stdout.length).toBeWithin(MIB, 2 * MIB + 1);
    const lines = (await server.stop()).stdout.trim().split('\n');
    const requests = lines
      .map((line) => JSON.parse(line))
      .filter(({ path: asked }) => asked === '/later.raw');
    expect(requests).toEqual([
      expect.objectContaining({ status: 200, reason: 'EIO: i/o error, read', sent: expect.any(Number) }),
    ]);
  });
});

test('SHA256SUMS of more files than may be open at once', async () => {
  const count = 600;
  for (let index = 0; index < count; index++) served.write(`file-${index}`, 'x');
  await using server = await RdpullServe.start(served.path, [], undefined, {
    wrapper: ['prlimit', '--nofile=256'],
  });
  expect(curl(server.url('SHA256SUMS')).stdout.toString().match(/\n/g)).toHaveLength(count);
});

describe('nothing is served', () => {
  test.each([
    '../secret',
    '%2e%2e/secret',
    '..%2fsecret',
    'link',
    'directory/secret',
    '.hidden',
    'key',
    'fifo',
  ])('of %s', async (name) => {
    other.write('secret', 'secret');
    served.write('.hidden', 'secret');
    fs.symlinkSync(other.file('secret'), served.file('link'));
    fs.symlinkSync(other.path, served.file('directory'));
    run(['mkfifo', served.file('fifo')]);
    using gpg = new GpgHome();
    served.write('key', gpg.exportSecretKey(gpg.generateKey('B <b@example.com>')));
    await using server = await RdpullServe.start(served.path, [`--sign=${served.file('key')}`]);
    expect(code('--path-as-is', server.url(name))).toBe('404');
    expect(curl(server.url('SHA256SUMS')).stdout.toString()).toBe('');
  });

  test('as a page that a browser would run', async () => {
    served.write('x.html', '<script>alert(1)</script>');
    served.write('<img src=x>.raw', '');
    await using server = await RdpullServe.start(served.path);
    expect(curl('-I', server.url('x.html')).stdout.toString()).toMatch(
      /content-type: application\/octet-stream\r/i,
    );
    expect(curl(server.url('')).stdout.toString()).toContain('&#60;img src=x&#62;.raw');
  });
});

describe('it does not begin', () => {
  test.each([
    [['--port=80810'], '--port=80810 is not valid'],
    [['--address=localhost'], '--address=localhost is no IP address'],
    [
      ['--address=192.0.2.77'],
      'rdpull cannot listen on port 0 of 192.0.2.77: it is no address of this machine',
    ],
    [['--passphrase=/dev/null'], '--passphrase=FILE is for a secret key, and none was given'],
    [['--sign=/nonexistent'], '/nonexistent cannot be read'],
    [['--sign=/dev/null'], 'the secret key in /dev/null cannot sign'],
  ])('with %p', async (args, message) => {
    const { status, stderr } = await rdpull(['serve', '--port=0', ...args, served.path]);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  test('where somebody listens already', async () => {
    await using server = await RdpullServe.start(served.path);
    const { status, stderr } = await rdpull(['serve', `--port=${server.port}`, served.path]);
    expect(stderr).toBe(
      `rdpull: error: rdpull cannot listen on port ${server.port}: somebody else listens there\nrdpull: try: choose another one: --port=0 takes any that is free\n`,
    );
    expect(status).toBe(2);
  });
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s ends it at once, and well, also while it sends',
  async (signal) => {
    run(['truncate', '-s', '1G', served.file('image.raw')]);
    await using server = await RdpullServe.start(served.path);
    const child = Bun.spawn(['curl', '-s', '--limit-rate', '1M', '-o', '/dev/null', server.url('image.raw')]);
    await Bun.sleep(300);
    const begun = performance.now();
    server.child.kill(signal);
    await server.child.exited;
    expect(performance.now() - begun).toBeLessThan(3000);
    expect(server.child.exitCode).toBe(0);
    await child.exited;
  },
);

/** Hands on what it gets, but cuts the first connection that brings so many bytes. */
async function cuttingProxy(
  port: number,
  bytes: number,
): Promise<AsyncDisposable & { readonly port: number }> {
  let isCut = false;
  const sockets = new Set<net.Socket>();
  const proxy = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    let passed = 0;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      passed += chunk.length;
      client.write(chunk);
      if (isCut || passed < bytes) return;
      isCut = true;
      upstream.destroy();
      client.destroy();
    });
    upstream.on('end', () => client.end());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
