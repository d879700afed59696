import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { bootedMachine } from '../fixtures/booted-machine.ts';
import { type Boot, CachingMachine, digestOf, flipBit } from '../fixtures/caching-machine.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { writeChecksums } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const BYTES = 512 * 1024;
/** Where nobody listens. */
const NOBODY = 'http://127.0.0.1:9';
const V = 'machines/image.raw.v';
/** The variable of the Boot Loader Interface that names what was booted. */
const LOADER = 'LoaderDeviceURL-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

let gpg: GpgHome;
let builder: string;
let keyring: string;
let served: TemporaryDirectory;
let server: WebServer;
/** Whether the server says what identifies the bytes of a file. */
let isTagged = false;
let machine: CachingMachine;

beforeAll(() => {
  gpg = new GpgHome();
  builder = gpg.generateKey('Builder <builder@example.com>');
  keyring = `${gpg.directory}/builder.pgp`;
  fs.writeFileSync(keyring, gpg.exportKeys());
});
afterAll(() => gpg[Symbol.dispose]());
beforeEach(() => {
  served = new TemporaryDirectory();
  isTagged = false;
  server = startWebServer(served.path, tagged);
  machine = new CachingMachine();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
  machine[Symbol.dispose]();
});

function tagged(request: Request): Response | undefined {
  const file = served.file(new URL(request.url).pathname);
  if (!isTagged || !fs.existsSync(file)) return undefined;
  const { size, mtimeMs } = fs.statSync(file);
  return new Response(Bun.file(file), { headers: { etag: `"${size}-${mtimeMs}"` } });
}

/** How many images were made: no two are the same. */
let made = 0;

/** Publishes a new image, packed by xz, with its checksums and their signature, as of a day in 2026. */
function publish(day: number, name = 'image.raw'): string {
  const content = noiseOf(BYTES, made++);
  const image = served.write(name, content);
  run(['xz', '-0', '-f', '-k', image]);
  for (const file of [image, `${image}.xz`]) {
    const date = new Date(Date.UTC(2026, 0, day, 12));
    fs.utimesSync(file, date, date);
  }
  served.write(
    'SHA256SUMS.gpg',
    gpg.sign(fs.readFileSync(writeChecksums(served)), { by: builder, armor: false }),
  );
  server.requests.length = 0;
  return digestOf(content);
}

const signed = () => `--keyring=${keyring}`;

/** A boot, and what it has asked the server for. */
async function boot(...args: string[]): Promise<Boot & { readonly asked: readonly string[] }> {
  server.requests.length = 0;
  const booted = await machine.boot(...args);
  return { ...booted, asked: [...server.requests] };
}

const url = (name = 'image.raw.xz') => `${server.url}/${name}`;
const MANIFEST = ['GET /image.raw.xz.sha256', 'GET /SHA256SUMS'];

describe('a boot with a cache', () => {
  test('fetches an image once: after that nothing but what vouches for it, and then not even that', async () => {
    const content = publish(1);
    const first = await boot(signed(), url());
    expect(first.asked).toEqual([...MANIFEST, 'GET /SHA256SUMS.gpg', 'GET /image.raw.xz']);
    expect(first.cache).toMatchObject({ reused: 0, triesLeft: 2 });
    expect(machine.images()).toEqual([`${V}/image_20260101T120000+2-1.raw.xz`]);
    expect(fs.readFileSync(path.join(machine.cache, machine.images()[0] ?? ''))).toEqual(
      fs.readFileSync(served.file('image.raw.xz')),
    );

    const second = await boot(signed(), url());
    expect(second.asked).toEqual([...MANIFEST, 'GET /SHA256SUMS.gpg']);
    expect(second.image).toEqual(content);
    expect(second.cache).toEqual({
      fetched: 0,
      reused: fs.statSync(served.file('image.raw.xz')).size,
      image: `${machine.cache}/${V}/image_20260101T120000+1-2.raw.xz`,
      triesLeft: 1,
    });
    expect(second.stderr).toMatch(
      /of xz reused \(.*\+1-2\.raw\.xz\), nothing fetched, .*, signed by Builder/,
    );

    const third = await boot(signed(), `${NOBODY}/image.raw.xz`);
    expect(third).toMatchObject({ status: 0, asked: [] });
    expect(third.image).toEqual(content);
  });

  test('with the digest in the request asks nobody at all', async () => {
    publish(1);
    const { digest } = {
      digest: run(['sha256sum', served.file('image.raw.xz')])
        .toString()
        .slice(0, 64),
    };
    await boot(`--verify=sha256:${digest}`, url());
    const again = await boot(`--verify=sha256:${digest}`, `${NOBODY}/image.raw.xz`);
    expect(again).toMatchObject({ status: 0, cache: { fetched: 0 } });
    expect(again.stderr).not.toContain('warning');
  });

  test('without verification asks the server what it has, and fetches what is new', async () => {
    isTagged = true;
    const old = publish(1);
    await boot('--verify=no', url());
    const same = await boot('--verify=no', url());
    expect(same.asked).toEqual(['HEAD /image.raw.xz']);
    expect(same.image).toEqual(old);
    const changed = publish(2);
    const fetched = await boot('--verify=no', url());
    expect(fetched.asked).toEqual(['HEAD /image.raw.xz', 'GET /image.raw.xz']);
    expect(fetched.image).toEqual(changed);
    expect(machine.images()).toHaveLength(2);
  });

  test('takes no image for another one, whose server gives both the same sign', async () => {
    isTagged = true;
    publish(1, 'stable.raw');
    const testing = publish(1, 'testing.raw');
    await boot('--verify=no', '--local=image', url('stable.raw'));
    const { asked, image } = await boot('--verify=no', '--local=image', url('testing.raw'));
    expect(asked).toEqual(['HEAD /testing.raw', 'GET /testing.raw']);
    expect(image).toEqual(testing);
  });

  test('keeps one file of what was fetched twice, for want of a sign that it is the same', async () => {
    publish(1);
    await boot('--verify=no', url());
    await boot('--verify=no', url());
    expect(machine.images()).toHaveLength(1);
    expect(machine.images()[0]).toEndWith('+1-2.raw.xz');
  });

  test('takes the version from the name, and keeps all versions of an image together', async () => {
    publish(3, 'os_9.raw');
    publish(2, 'os_10.raw');
    for (const name of ['os_9', 'os_10']) await boot('--verify=checksum', url(`${name}.raw`));
    expect(machine.images()).toEqual(['machines/os.raw.v/os_10+2-1.raw', 'machines/os.raw.v/os_9+2-1.raw']);
    const away = await boot('--verify=checksum', `${NOBODY}/os_11.raw`);
    expect(away.cache?.image).toEndWith('/os_10+1-2.raw');
  });

  test('beside the UKI is kept under the name of that, and found without a server', async () => {
    const content = publish(1, 'image_7.raw');
    const expression = 'raw,machine,bootorigin,verify=checksum:bootorigin:';
    machine.firmware = bootedMachine({ [LOADER]: `${server.url}/image_7.efi` });
    const first = await boot(expression);
    expect(first.image).toBe(content);
    expect(machine.images()).toEqual(['machines/image.raw.v/image_7+2-1.raw.xz']);
    machine.firmware = bootedMachine({ [LOADER]: `${NOBODY}/image_8.efi` });
    expect((await boot(expression)).image).toBe(content);
  });

  test('keeps a tarball as it was served, and none of the rest, for which a line says so', async () => {
    fs.mkdirSync(served.file('tree/etc'), { recursive: true });
    fs.writeFileSync(served.file('tree/etc/os-release'), 'ID=test\n');
    run(['tar', '-C', served.file('tree'), '--zstd', '-cf', served.file('root.tar.zst'), '.']);
    fs.rmSync(served.file('tree'), { recursive: true });
    writeChecksums(served);
    const target = ['--verify=checksum', '--type=tar', url('root.tar.zst')];
    expect(await machine.start(...target).exited).toBe(0);
    expect(machine.images()[0]).toMatch(/^machines\/root\.tar\.v\/root_\w+\+2-1\.tar\.zst$/);
    expect(await machine.start(...target).exited).toBe(0);
    expect(server.requests.filter((request) => request.endsWith('.zst'))).toEqual(['GET /root.tar.zst']);

    publish(1);
    const local = await boot('--verify=no', `file://${served.file('image.raw')}`);
    expect(local.stderr).toContain('--cache=DIR is passed over: the image lies on this machine already');
    expect(local.cache).toBeUndefined();
  });
});

describe('an image', () => {
  test('is good when the system has come up with it, and is not counted any more', async () => {
    publish(1);
    await boot('--verify=checksum', url());
    const [unit = ''] = machine.blessingUnits();
    expect(path.basename(unit)).toBe('rdpull-bless@machines-image.raw.v.service');
    expect(fs.readFileSync(unit, 'utf8').replaceAll(machine.cache, '/run/rdpull/cache')).toBe(`\
# Written by rdpull: this boot is one of those that are counted.

[Unit]
Description=Image image_20260101T120000 of the cache is good
Documentation=man:rdpull.cache(7)
DefaultDependencies=no
ConditionPathExists=!/etc/initrd-release
Requires=boot-complete.target
After=boot-complete.target local-fs.target multi-user.target
RequiresMountsFor=/run/rdpull/cache/machines/image.raw.v
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=:mv /run/rdpull/cache/machines/image.raw.v/image_20260101T120000+2-1.raw.xz /run/rdpull/cache/machines/image.raw.v/image_20260101T120000.raw.xz
`);
    machine.comeUp();
    expect(machine.images()).toEqual([`${V}/image_20260101T120000.raw.xz`]);
    const next = await boot('--verify=checksum', url());
    expect(next.cache).not.toHaveProperty('triesLeft');
    expect(machine.images()).toEqual([`${V}/image_20260101T120000.raw.xz`]);
    expect(machine.blessingUnits()).toEqual([]);
  });

  test('that never comes up gives way to the newest one that did; status says why', async () => {
    const old = publish(1);
    await boot('--verify=checksum', url());
    machine.comeUp();
    const bad = publish(2);
    for (const triesLeft of [1, 0]) {
      const tried = await boot('--verify=checksum', '--tries=2', url());
      expect(tried.cache).toMatchObject({ triesLeft });
      expect(tried.image).toEqual(bad);
    }
    const { image, stderr, asked, cache } = await boot('--verify=checksum', '--tries=2', url());
    expect(asked).toEqual(MANIFEST);
    expect(image).toEqual(old);
    expect(stderr).toContain(
      'warning: image_20260102T120000 has no tries left: it was booted 2 times, and never came up; image_20260101T120000 of the cache, which worked, is used in its place',
    );
    expect(cache?.why).toBe(
      'image_20260102T120000 has no tries left: it was booted 2 times, and never came up',
    );
    const { stdout } = await machine.rdpull('status');
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
      'in place of what the server has: image_20260102T120000 has no tries left: it was booted 2 times, and never came up',
    );
    // What is new gets its own tries.
    const better = publish(3);
    expect((await boot('--verify=checksum', url())).image).toEqual(better);
  });

  test('without tries left is tried all the same, when no other has ever come up', async () => {
    const only = publish(1);
    for (let tries = 0; tries < 3; tries++) await boot('--verify=checksum', '--tries=1', url());
    const { image, stderr } = await boot('--verify=checksum', url());
    expect(image).toEqual(only);
    expect(stderr).toContain('never came up; no other image has, so that it is tried once more');
  });

  test('that was damaged on the disk is fetched again, and counts as before', async () => {
    const content = publish(1);
    await boot('--verify=checksum', url());
    machine.comeUp();
    flipBit(path.join(machine.cache, machine.images()[0] ?? ''));
    const { image, stderr, asked, cache } = await boot('--verify=checksum', url());
    expect(stderr).toContain('warning: the cached image is damaged, and not used: ');
    expect(asked).toContain('GET /image.raw.xz');
    expect(image).toEqual(content);
    expect(cache).not.toHaveProperty('triesLeft');
    expect((await boot('--verify=checksum', url())).cache).toMatchObject({ fetched: 0 });
  });

  test('that was damaged on the disk is found without verification as well, and cut ones too', async () => {
    isTagged = true;
    publish(1, 'image.raw');
    for (const spoil of [flipBit, (file: string) => fs.truncateSync(file, 1000)]) {
      await boot('--verify=no', url('image.raw'));
      spoil(path.join(machine.cache, machine.images()[0] ?? ''));
      const { stderr, status, cache } = await boot('--verify=no', url('image.raw'));
      expect({ status, cache: cache?.reused }).toEqual({ status: 0, cache: 0 });
      expect(stderr).toContain('the cached image is damaged');
    }
  });
});

describe('what the server wants is what is booted, whatever the dates say:', () => {
  test('an older image that it has gone back to, fetched or kept', async () => {
    const first = publish(1);
    const packed = fs.readFileSync(served.file('image.raw.xz'));
    publish(2);
    await boot('--verify=checksum', url());
    machine.comeUp();
    const goBack = () => {
      fs.rmSync(served.file('image.raw'));
      const date = new Date(Date.UTC(2026, 0, 1, 12));
      fs.utimesSync(served.write('image.raw.xz', packed), date, date);
      writeChecksums(served);
    };
    goBack();
    const back = await boot('--verify=checksum', url());
    expect(back.image).toBe(first);
    // It is new to this machine, and gives way as any other that never comes up.
    expect(back.cache).toMatchObject({ triesLeft: 2 });
    machine.comeUp();
    publish(3);
    await boot('--verify=checksum', url());
    machine.comeUp();
    goBack();
    const again = await boot('--verify=checksum', url());
    expect({ image: again.image, fetched: again.cache?.fetched }).toEqual({ image: first, fetched: 0 });
  });

  test('a new image, where the one before has a date that is still to come', async () => {
    publish(1);
    const date = new Date(Date.UTC(2099, 0, 1));
    fs.utimesSync(served.file('image.raw.xz'), date, date);
    await boot('--verify=checksum', url());
    machine.comeUp();
    const next = publish(2);
    for (let boots = 0; boots < 2; boots++)
      expect((await boot('--verify=checksum', '--tries=2', url())).image).toBe(next);
    expect(machine.images()).toEqual([
      `${V}/image_20260102T120000+0-2.raw.xz`,
      `${V}/image_20990101T000000.raw.xz`,
    ]);
  });

  test('an image of a name that a shell, systemd and a regular expression read otherwise', async () => {
    const content = publish(1);
    const name = '--local=my $image (50%%, *) +3-0';
    expect((await boot('--verify=checksum', name, url())).image).toBe(content);
    const [kept = ''] = machine.images();
    expect(kept).toBe(
      'machines/my $image (50%%, *) +3-0.raw.v/my $image (50%%, *) +3-0_20260101T120000+2-1.raw.xz',
    );
    const second = await boot('--verify=checksum', name, url());
    expect(second.cache).toMatchObject({ fetched: 0, triesLeft: 1 });
    expect(machine.blessingUnits()).toHaveLength(1);
  });
});

describe('when the server cannot be reached', () => {
  test('the newest image that worked is used, and held against the signature beside it', async () => {
    publish(1);
    await boot(signed(), url());
    machine.comeUp();
    const worked = publish(2);
    await boot(signed(), url());
    machine.comeUp();
    publish(3);
    await boot(signed(), url());
    const away = await boot(signed(), `${NOBODY}/image.raw.xz`);
    expect(away.image).toEqual(worked);
    expect(away.cache?.image).toEndWith('/image_20260102T120000.raw.xz');
    expect(away.stderr).toMatch(
      /warning: .*refused.*; image_20260102T120000 of the cache, which worked, is used in its place/,
    );
    expect(away.stderr).toContain('signed by Builder');
  });

  test('a damaged image gives way to the next one', async () => {
    const first = publish(1);
    await boot(signed(), url());
    machine.comeUp();
    publish(2);
    await boot(signed(), url());
    machine.comeUp();
    flipBit(path.join(machine.cache, `${V}/image_20260102T120000.raw.xz`));
    const away = await boot(signed(), `${NOBODY}/image.raw.xz`);
    expect(away.image).toEqual(first);
    expect(away.stderr).toContain('image_20260102T120000 of the cache cannot be used either: ');
  });

  test.each([
    ['nobody has signed it', '--verify=no'],
    ['it was replaced, and what is written beside it', undefined],
  ])('an image is not used where a signature is asked for, and %s', async (_, firstVerify) => {
    publish(1);
    await boot(firstVerify ?? signed(), url());
    if (firstVerify === undefined) {
      const file = path.join(machine.cache, machine.images()[0] ?? '');
      const forged = noiseOf(BYTES, made++);
      fs.writeFileSync(file, forged);
      const about = path.join(machine.cache, V, 'image_20260101T120000.files/about.json');
      const fields = JSON.parse(fs.readFileSync(about, 'utf8'));
      const sha256 = digestOf(forged);
      fs.writeFileSync(about, JSON.stringify({ ...fields, size: BYTES, sha256 }));
    }
    const away = await boot(signed(), `${NOBODY}/image.raw.xz`);
    expect({ status: away.status, image: away.image }).toEqual({ status: 10, image: undefined });
  });

  test('a file that fails to arrive gives way as well; a mistake of the command line does not', async () => {
    const worked = publish(1);
    await boot('--verify=checksum', url());
    machine.comeUp();
    publish(2);
    flipBit(served.file('image.raw.xz'));
    const spoilt = await boot('--verify=checksum', url());
    expect(spoilt.image).toEqual(worked);
    expect(machine.images()).toEqual([`${V}/image_20260101T120000.raw.xz`]);
    expect((await boot('--verify=checksum', '--tries=0', url())).status).toBe(2);
  });

  test('what vouches for an image now is kept, not what did when it was stored', async () => {
    publish(1);
    await boot('--verify=no', url());
    machine.comeUp();
    await boot(signed(), url());
    const away = await boot(signed(), `${NOBODY}/image.raw.xz`);
    expect(away).toMatchObject({ status: 0 });
    expect(away.stderr).toContain('signed by Builder');
  });
});

function makeFile(file: string): string {
  fs.writeFileSync(file, '');
  return file;
}

describe('a cache that cannot be used costs a line, and no boot:', () => {
  test.each([
    ['missing', 'is not there', (file: string) => file],
    ['a file', 'is no directory', makeFile],
    ['in memory', 'lies in memory, which no boot outlives: no disk is mounted there', () => '/dev/shm'],
  ])('%s', async (_, said, make) => {
    const content = publish(1);
    const directory = make(served.file('other-cache'));
    const { status, image, stderr } = await boot('--verify=checksum', `--cache=${directory}`, url());
    expect({ status, image }).toEqual({ status: 0, image: content });
    expect(stderr).toContain(`warning: the cache ${directory} ${said}; the image is pulled without it\n`);
  });

  test('used by another rdpull at the same time', async () => {
    publish(1);
    await boot('--verify=checksum', url());
    const lock = Bun.spawn(['flock', path.join(machine.cache, V), 'sleep', '60']);
    try {
      await Bun.sleep(300);
      const { status, stderr } = await boot('--verify=checksum', url());
      expect(status).toBe(0);
      expect(stderr).toContain('is not used: another rdpull, or another machine, is at work in image');
    } finally {
      lock.kill();
      await lock.exited;
    }
  });
});

describe('rdpull cache', () => {
  test('lists, verifies, pins and removes', async () => {
    publish(1);
    await boot('--verify=checksum', url());
    machine.comeUp();
    publish(2);
    await boot('--verify=checksum', url());
    publish(3);
    await boot('--verify=checksum', url());
    const cache = async (...args: string[]) => {
      const { stdout, status, stderr } = await machine.rdpull('cache', ...args, `--cache=${machine.cache}`);
      return {
        status,
        text: (stdout + stderr).replaceAll(server.url, 'http://h').replaceAll(/stored .* UTC/g, 'stored T'),
      };
    };
    const size = '512 KiB';
    expect(await cache()).toEqual({
      status: 0,
      text: `\
image_20260103T120000  2 tries left, runs  ${size}  stored T  http://h/image.raw.xz
image_20260102T120000  2 tries left  ${size}  stored T  http://h/image.raw.xz
image_20260101T120000  good  ${size}  stored T  http://h/image.raw.xz
`,
    });
    expect((await cache('pin', 'image_20260102T120000')).text).toBe('image_20260102T120000  pinned\n');
    expect((await cache('prune')).text).toBe('rdpull: there is nothing to remove\n');
    await cache('unpin', 'image_20260102T120000');
    expect((await cache('prune')).text).toBe('image_20260102T120000  removed\n');
    expect(await cache('verify')).toMatchObject({ status: 0 });
    flipBit(path.join(machine.cache, `${V}/image_20260101T120000.raw.xz`));
    const damaged = await cache('verify', 'image_20260101T120000');
    expect(damaged.status).toBe(13);
    expect(damaged.text).toStartWith('image_20260101T120000  is damaged: it has the SHA-256 ');
    expect(await cache('pin', 'other')).toMatchObject({ status: 14 });
    expect((await cache('lsit')).text).toContain('did you mean rdpull cache list?');
  });

  test('--cache-size= removes what was stored first, and never what is good last', async () => {
    for (const day of [1, 2, 3]) {
      publish(day);
      await boot('--verify=checksum', url());
      if (day === 1) machine.comeUp();
    }
    publish(4);
    const { stderr } = await boot('--verify=checksum', '--cache-size=1600K', url());
    expect(machine.images()).toEqual([
      `${V}/image_20260101T120000.raw.xz`,
      `${V}/image_20260103T120000+2-1.raw.xz`,
      `${V}/image_20260104T120000+2-1.raw.xz`,
    ]);
    expect(stderr).toContain('image_20260102T120000 was removed from the cache to make room');
    publish(5);
    const full = await boot('--verify=checksum', '--cache-size=1M', url());
    expect(full.status).toBe(0);
    expect(full.stderr).toMatch(
      /the image is not kept: the cache .* has no room for 512 KiB: it may hold 1\.0 MiB, and /,
    );
  });
});

test('rdpull check says what a boot would find in the cache', async () => {
  const said = async () => {
    const { stdout } = await machine.rdpull(
      'check',
      `--cache=${machine.cache}`,
      `raw,machine,verify=checksum:image:${url()}`,
    );
    return /^\S+ +cache +(.*)$/m.exec(stdout)?.[1];
  };
  publish(1);
  expect(await said()).toBe('the image is not in there: all of it would be fetched, and kept');
  await boot('--verify=checksum', url());
  expect(await said()).toBe('image_20260101T120000 is what is wanted: nothing of it would be fetched');
  machine.comeUp();
  publish(2);
  await boot('--verify=checksum', '--tries=1', url());
  expect(await said()).toBe(
    'image_20260102T120000 has no tries left: image_20260101T120000 would be booted in its place',
  );
});
