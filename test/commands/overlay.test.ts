import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** A machine's root, read-only, and what there is to write to: file systems on loop devices. */
const directory = new TemporaryDirectory();
const sysroot = directory.file('sysroot');
const devices = new Map<string, string>();

beforeAll(() => {
  for (const each of ['tree/etc', 'tree/bin', 'sysroot'])
    fs.mkdirSync(directory.file(each), { recursive: true });
  fs.writeFileSync(directory.file('tree/etc/conf'), 'of the image\n');
  run(['cp', '/usr/bin/id', directory.file('tree/bin/id')]);
  run(['chmod', '4755', directory.file('tree/bin/id')]);
  run(['chown', '12:34', directory.file('tree')]);
  run(['mkfs.erofs', directory.file('root.erofs'), directory.file('tree')]);
  make('root', directory.file('root.erofs'), []);
  make('ext4', file('ext4', '16M'), ['mkfs.ext4', '-q', '-b', '1024', '-L', 'rdpull-data']);
  make('full', file('full', '8M'), ['mkfs.ext4', '-q', '-b', '1024', '-m', '0', '-O', '^has_journal']);
  make('xfs', file('xfs', '320M'), ['mkfs.xfs', '-q']);
  make('btrfs', file('btrfs', '120M'), ['mkfs.btrfs', '-q']);
  make('vfat', file('vfat', '4M'), ['mkfs.vfat']);
  make('empty', file('empty', '1M'), []);
  make('read-only', file('read-only', '8M'), ['mkfs.ext4', '-q'], ['--read-only']);
  fill(device('full'));
});
afterAll(() => {
  for (const each of devices.values()) run(['losetup', '--detach', each]);
  directory[Symbol.dispose]();
});

function file(name: string, size: string): string {
  run(['truncate', '--size', size, directory.file(name)]);
  return directory.file(name);
}

function make(name: string, image: string, mkfs: readonly string[], options: readonly string[] = []): void {
  if (mkfs.length > 0) run([...mkfs, image]);
  devices.set(
    name,
    run(['losetup', '--find', '--show', ...options, image])
      .toString()
      .trim(),
  );
}

function device(name: string): string {
  const found = devices.get(name);
  if (found === undefined) throw new Error(`there is no device ${name}`);
  return found;
}

function fill(full: string): void {
  const at = directory.file('filled');
  fs.mkdirSync(at);
  run(['mount', full, at]);
  run(['sh', '-c', `cat /dev/zero >${at}/zeros 2>/dev/null; rm -f ${at}/lost+found/x; sync`]);
  run(['umount', at]);
}

/** Runs `rdpull overlay` in a mount namespace with the root mounted, and `script` behind it, whatever becomes of it. */
function overlay(args: readonly string[], script = ''): Promise<Finished> {
  const around = `
    mount -o ro ${device('root')} ${sysroot}
    "$@"; status=$?
    cd ${sysroot}
    ${script}
    exit $status
  `;
  return rdpull(['overlay', ...args], {
    wrapper: ['unshare', '--mount', '--propagation', 'shared', 'sh', '-c', around, 'sh'],
  });
}

describe('what is written goes', () => {
  test('to memory, and is gone afterwards; programs keep their rights', async () => {
    const script =
      'cat etc/conf; echo new >etc/conf; cat etc/conf; stat -c "%a %u:%g" . bin/id; setpriv --reuid=nobody ./bin/id -u';
    const { status, stdout, stderr } = await overlay(['tmpfs', sysroot], script);
    expect(stderr).toMatch(
      new RegExp(
        `^rdpull: ${sysroot} can be written to: what is written goes to memory \\(.* free\\), and is lost at the end\n$`,
      ),
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'of the image\nnew\n755 12:34\n4755 0:0\n0\n' });
    expect((await overlay(['tmpfs', sysroot], 'cat etc/conf')).stdout).toBe('of the image\n');
  });

  test.each(['ext4', 'xfs', 'btrfs'])(
    'to %s on a device, and is there again, for each image of its own',
    async (name) => {
      const args = ['--name=my root,a', device(name), sysroot];
      const first = await overlay(args, 'echo kept >etc/new; rm etc/conf; ls etc');
      expect(first.stderr).toContain(`what is written goes to ${device(name)} (${name}, `);
      expect(first).toMatchObject({ status: 0, stdout: 'new\n' });
      expect((await overlay(args, 'ls etc; cat etc/new')).stdout).toBe('new\nkept\n');
      expect((await overlay([device(name), sysroot], 'ls etc')).stdout).toBe('conf\n');
    },
  );

  test('nowhere else: the tree stays to be seen, by root alone', async () => {
    const script = `
      echo new >etc/conf; cat /run/rdpull/overlay/lower/etc/conf
      touch /run/rdpull/overlay/lower/x 2>&1; stat -c %a /run/rdpull/overlay
      findmnt -n -o FSTYPE,OPTIONS ${sysroot} | sed 's/,.*//' `;
    const { stdout } = await overlay(['tmpfs', sysroot], script);
    expect(stdout.split('\n')).toEqual([
      'of the image',
      "touch: cannot touch '/run/rdpull/overlay/lower/x': Read-only file system",
      '700',
      expect.stringMatching(/^erofs +ro$/),
      expect.stringMatching(/^overlay +rw$/),
      '',
    ]);
  });

  test('where status says, also as JSON', async () => {
    const { RDPULL } = await import('../fixtures/executable.ts');
    const script = `${RDPULL} status; ${RDPULL} status --json`;
    const { stdout } = await overlay(['--quiet', device('ext4'), sysroot], script);
    expect(stdout).toContain(`overlay     on ${sysroot}: what is written goes to`);
    expect(JSON.parse(stdout.slice(stdout.indexOf('{'))).overlay).toEqual({
      mount: sysroot,
      type: 'ext4',
      device: device('ext4'),
      free: expect.any(Number),
    });
  });

  test('once: a second overlay is none', async () => {
    const { RDPULL } = await import('../fixtures/executable.ts');
    const { stdout } = await overlay(
      ['--quiet', 'tmpfs', sysroot],
      `${RDPULL} overlay tmpfs ${sysroot} 2>&1; grep -c overlay /proc/self/mountinfo`,
    );
    expect(stdout).toContain(`warning: ${sysroot} has an overlay already, which is used as it is`);
    expect(stdout).toEndWith('\n3\n');
  });
});

describe('an error, with everything as before, is', () => {
  const untouched = `mount | grep -c /run/rdpull/overlay; touch etc/x 2>&1`;

  test.each([
    [
      'a device that is missing',
      '/dev/disk/by-label/rdpull-none',
      'LABEL=rdpull-none: there is no /dev/disk/by-label/rdpull-none',
    ],
    ['a full one', 'full', 'it is full: '],
    ['a read-only one', 'read-only', 'it is read-only'],
    ['a file system that has no owners', 'vfat', 'it holds vfat, which cannot be written to as an overlay'],
    ['an empty one, which stays so', 'empty', 'it holds no file system that is known here, and none is made'],
  ])('%s', async (_, name, why) => {
    const where = devices.get(name) ?? 'LABEL=rdpull-none';
    const { status, stdout, stderr } = await overlay([where, sysroot], untouched);
    expect(stderr).toStartWith('rdpull: error: what is written to the root cannot go to ');
    expect(stderr).toContain(why);
    expect(stderr).toContain(
      'overlay=tmpfs goes on in memory, and a ? behind the device does so whenever it fails',
    );
    expect(status).toBe(15);
    expect(stdout).toBe("0\ntouch: cannot touch 'etc/x': Read-only file system\n");
  });

  test('a link in place of the directory for it', async () => {
    const at = directory.file('prepared');
    fs.mkdirSync(at, { recursive: true });
    const image = file('linked', '8M');
    make('linked', image, ['mkfs.ext4', '-q']);
    run(['mount', device('linked'), at]);
    fs.symlinkSync('/etc', `${at}/rdpull-overlay`);
    run(['umount', at]);
    const { status, stderr } = await overlay([device('linked'), sysroot], untouched);
    expect(stderr).toContain('its directory rdpull-overlay cannot be used: ENOTDIR');
    expect(status).toBe(15);
  });

  test('a directory on which nothing is mounted', async () => {
    const { status, stderr } = await overlay(['tmpfs', '/usr/bin']);
    expect(stderr).toContain('nothing is mounted on /usr/bin, so that there is nothing to write over');
    expect(status).toBe(15);
  });

  test('what is no device, before anything is done', async () => {
    const { status, stderr } = await overlay(['label=data', sysroot], untouched);
    expect(stderr).toContain('"label=data" is no place to write to');
    expect(status).toBe(2);
  });
});

test.each(['full', 'vfat', 'read-only'])(
  'with ? memory will do where a device that is %s will not',
  async (name) => {
    const { status, stdout, stderr } = await overlay(
      [`${device(name)}?`, sysroot],
      'echo new >etc/conf; cat etc/conf',
    );
    expect(stderr).toContain(`warning: what is written to the root cannot go to ${device(name)}: it `);
    expect(stderr).toContain('; it goes to memory, and is lost when the machine is switched off');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'new\n' });
  },
);
