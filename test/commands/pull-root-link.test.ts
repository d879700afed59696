import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { planPull } from '../../src/generator/planned-pull.ts';
import { pullUnit } from '../../src/generator/pull-unit.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { settings } from '../generator/generator-run.ts';

const ROOT_TYPE = process.arch === 'arm64' ? '8305' : '8304';

const directory = new TemporaryDirectory();
const link = directory.file('run', 'root');

/** A disk with a root partition, the second one; one without; and a bare file system. */
beforeAll(() => {
  for (const [name, type] of [
    ['disk', ROOT_TYPE],
    ['rootless', 'ef00'],
  ]) {
    const image = directory.file(`${name}.img`);
    run(['truncate', '-s', '24M', image]);
    run(['sgdisk', '-n', '1:0:+2M', '-t', '1:ef00', '-n', '2:0:0', '-t', `2:${type}`, '-c', '2:root', image]);
    const start = Number(
      run(['sh', '-c', `sgdisk -i 2 ${image} | awk '/First sector/ { print $3 }'`]).toString(),
    );
    run(['mkfs.ext4', '-q', '-E', `offset=${start * 512}`, image, '20m']);
  }
  run(['truncate', '-s', '8M', directory.file('bare.img')]);
  run(['mkfs.ext4', '-q', directory.file('bare.img')]);
});
afterAll(() => directory[Symbol.dispose]());

const pull = (name: string, ...args: string[]) =>
  rdpull([
    'pull',
    '--verify=no',
    `--image-root=${directory.path}`,
    ...args,
    `file://${directory.file(`${name}.img`)}`,
  ]);

/** The loop devices of an image. */
function devicesOf(name: string): string[] {
  return run(['losetup', '-nO', 'NAME', '-j', directory.file(`${name}.raw`)])
    .toString()
    .split('\n')
    .filter(Boolean);
}

async function takeAway(name: string): Promise<void> {
  for (const device of devicesOf(name)) await rdpull(['detach', device]);
  for (const device of devicesOf(name)) run(['losetup', '-d', device]);
  fs.rmSync(directory.file(`${name}.raw`), { force: true });
}

describe('rdpull pull --blockdev --root-link=LINK', () => {
  test.each([
    ['disk', 'p2'],
    ['bare', ''],
  ])('links to the root of %s.img', async (name, partition) => {
    try {
      const { stdout, stderr, status } = await pull(name, '--blockdev', `--root-link=${link}`);
      expect([status, stderr.includes('error')]).toEqual([0, false]);
      const [device] = devicesOf(name);
      expect(fs.readlinkSync(link)).toBe(`${device}${partition}`);
      expect(stdout.trimEnd().split('\n').at(-1)).toBe(`root: ${device}${partition}`);
    } finally {
      await takeAway(name);
    }
  });

  test('refuses an image without a root partition, and detaches it', async () => {
    fs.rmSync(link, { force: true });
    try {
      const { stderr, status } = await pull('rootless', '--blockdev', `--root-link=${link}`);
      expect(status).toBe(15);
      expect(stderr).toContain("none of the image's partitions is a root partition");
      expect(stderr).toContain(`the image itself is complete: ${directory.file('rootless.raw')}`);
      expect(devicesOf('rootless')).toEqual([]);
      expect(fs.existsSync(link)).toBe(false);
    } finally {
      await takeAway('rootless');
    }
  });

  test('needs --blockdev', async () => {
    const { stderr, status } = await pull('disk', `--root-link=${link}`);
    expect(status).toBe(2);
    expect(stderr).toBe(
      'rdpull: error: --root-link=LINK needs a block device for the link to lead to\nrdpull: try: add --blockdev\n',
    );
  });
});

describe('rdpull pull --keep', () => {
  test('attaches what is there, and downloads nothing', async () => {
    try {
      expect((await pull('disk')).status).toBe(0);
      const before = fs.statSync(directory.file('disk.raw')).ino;
      const { stdout, stderr, status } = await pull('disk', '--keep', '--blockdev');
      expect(status).toBe(0);
      expect(stderr).toBe(`rdpull: ${directory.file('disk.raw')} exists already and is kept\n`);
      expect(stdout.split('\n').slice(0, 2)).toEqual([directory.file('disk.raw'), ...devicesOf('disk')]);
      expect(fs.statSync(directory.file('disk.raw')).ino).toBe(before);
    } finally {
      await takeAway('disk');
    }
  });

  test('downloads what is not there', async () => {
    try {
      expect((await pull('disk', '--keep')).status).toBe(0);
      expect(fs.existsSync(directory.file('disk.raw'))).toBe(true);
    } finally {
      await takeAway('disk');
    }
  });

  test('is the opposite of --force', async () => {
    expect((await pull('disk', '--keep', '--force')).stderr).toStartWith(
      'rdpull: error: --keep and --force are opposites',
    );
  });
});

test('the unit leaves rdpull the privileges that it needs: it attaches an image and unpacks a tree without the others', async () => {
  const plan = planPull(
    parsePullExpression('raw,machine:r:http://h/r', () => undefined),
    true,
    { path: '/x', isShared: false },
  );
  const actions = { successAction: undefined, failureAction: undefined };
  const unit = pullUnit(plan, actions, {
    executable: '/usr/bin/rdpull',
    inInitrd: true,
    exists: () => false,
  });
  const [dropped = ''] = settings(unit, 'CapabilityBoundingSet');
  expect(dropped).toStartWith('~');
  const set = dropped
    .slice(1)
    .split(' ')
    .map((name) => `-${name.replace('CAP_', '').toLowerCase()}`)
    .join(',');
  const wrapper = ['setpriv', '--no-new-privs', `--bounding-set=${set}`, `--inh-caps=${set}`, '--'];
  try {
    const url = `file://${directory.file('disk.img')}`;
    const args = [
      'pull',
      '--verify=no',
      `--image-root=${directory.path}`,
      '--blockdev',
      `--root-link=${link}`,
      url,
    ];
    const { stderr, status } = await rdpull(args, { wrapper });
    expect([status, stderr.includes('error')]).toEqual([0, false]);
    expect(devicesOf('disk').length).toBe(1);

    directory.write('su', 'setuid');
    run(
      [
        'sh',
        '-c',
        'mkdir -p t && cp su t/ && chown 1:1 t/su && chmod 4755 t/su && mknod t/null c 1 3 && setcap cap_net_raw+ep t/su && tar --xattrs --xattrs-include=security.capability -cf tree.tar -C t .',
      ],
      { cwd: directory.path },
    );
    const tree = await rdpull(
      ['pull', '--verify=no', `--image-root=${directory.path}`, `file://${directory.file('tree.tar')}`],
      { wrapper },
    );
    expect([tree.status, tree.stderr.includes('error')]).toEqual([0, false]);
    expect(run(['getcap', directory.file('tree', 'su')]).toString()).toContain('cap_net_raw');
  } finally {
    await takeAway('disk');
  }
});
