import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { rdpull } from '../fixtures/executable.ts';
import { MachineConsoles } from '../fixtures/machine-consoles.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
const place = new TemporaryDirectory();
const mnt = place.file('mnt');
const tree = place.file('images/tree');
const image = place.file('images/disk.raw');
const server = startWebServer(served.path);
const asked = server.requests;

fs.mkdirSync(served.file('root/etc'), { recursive: true });
fs.writeFileSync(served.file('root/etc/os-release'), 'ID=live\n');
run(['tar', '-cf', 'tree.tar', '-C', 'root', '.'], { cwd: served.path });
run(['truncate', '-s', '8M', 'disk.raw'], { cwd: served.path });
run(['mkfs.ext4', '-q', 'disk.raw'], { cwd: served.path });
fs.mkdirSync(mnt);

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  for (const directory of [served, place]) directory[Symbol.dispose]();
});
beforeEach(() => void asked.splice(0));
afterEach(() => {
  while (spawnSync('umount', [mnt]).status === 0);
  for (const device of devices()) run(['losetup', '--detach', device]);
  fs.rmSync(place.file('images'), { recursive: true, force: true });
});

const pull = (file: string, ...options: string[]) => [
  ...['pull', '--verify=no', '--quiet', `--image-root=${place.file('images')}`],
  ...options,
  `${server.url}/${file}`,
];
const devices = () =>
  fs.existsSync(image)
    ? run(['losetup', '--noheadings', '--output=NAME', '--associated', image])
        .toString()
        .split('\n')
        .filter(Boolean)
    : [];
const mounted = () => fs.readFileSync(`${mnt}/etc/os-release`, 'utf8');

/** Tests beside this one have mount namespaces of their own, which keep a copy of what was mounted here until they end. */
async function statusWhenFree(args: readonly string[]): Promise<number | undefined> {
  for (const begun = performance.now(); ; await Bun.sleep(100)) {
    const { status } = await rdpull(args);
    if (status !== 14 || performance.now() - begun > 20_000) return status;
  }
}

describe('what is in use is not replaced, and nothing is asked for:', () => {
  test('a tree that is mounted, also on the directory where the new one is wanted', async () => {
    const args = pull('tree.tar', '--force', `--bind=${mnt}`);
    expect((await rdpull(args)).status).toBe(0);
    asked.splice(0);
    expect(await rdpull(args)).toEqual({
      status: 14,
      signal: undefined,
      stdout: '',
      stderr:
        `rdpull: error: ${tree} cannot be replaced: it is mounted on ${mnt}\n` +
        `rdpull: try: unmount it first: umount ${mnt}\n`,
    });
    expect(asked).toEqual([]);
    expect(mounted()).toBe('ID=live\n');
    run(['umount', mnt]);
    expect(await statusWhenFree(args)).toBe(0);
  });

  test('an image whose device another device is made of', async () => {
    expect((await rdpull(pull('disk.raw', '--force', '--blockdev'))).status).toBe(0);
    const [device = ''] = devices();
    // As the kernel shows what device mapper, RAID or bcache has on it; not every kernel that runs this has one of them.
    const script = 'mount -t tmpfs tmpfs "$0" && mkdir "$0/dm-7" && exec "$@"';
    const holders = `/sys/block/${path.basename(device)}/holders`;
    const wrapper = ['unshare', '-m', 'sh', '-c', script, holders];
    asked.splice(0);
    expect((await rdpull(pull('disk.raw', '--force', '--blockdev'), { wrapper })).stderr).toBe(
      `rdpull: error: ${image} cannot be replaced: it is attached to ${device}, which dm-7 uses\n` +
        `rdpull: try: remove that first (lsblk ${device} shows it), then: rdpull detach ${device}\n`,
    );
    expect(asked).toEqual([]);
  });

  test('an image that is attached', async () => {
    const args = pull('disk.raw', '--force', '--blockdev');
    expect((await rdpull(args)).status).toBe(0);
    const [device = ''] = devices();
    asked.splice(0);
    const { status, stderr } = await rdpull(args);
    expect({ status, stderr }).toEqual({
      status: 14,
      stderr:
        `rdpull: error: ${image} cannot be replaced: it is attached to ${device}\n` +
        `rdpull: try: detach it first: rdpull detach ${device}\n`,
    });
    expect(asked).toEqual([]);
    expect(devices()).toEqual([device]);
  });

  test('and who does not want it replaced is not told to', async () => {
    await rdpull(pull('tree.tar', `--bind=${mnt}`));
    const { stderr } = await rdpull(pull('tree.tar', `--bind=${mnt}`));
    expect(stderr).toBe(
      `rdpull: error: ${tree} exists already, and it is mounted on ${mnt}\n` +
        `rdpull: try: use it as it is (--keep, or rdpull attach), choose another name with --local=NAME; to replace it, unmount it first: umount ${mnt}\n`,
    );
  });

  test('the command that is shown on the console uses it', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0'], 200);
    await rdpull(pull('tree.tar', `--bind=${mnt}`));
    await rdpull(pull('tree.tar', '--boot-screen', `--bind=${mnt}`), { wrapper: consoles.wrapper });
    await consoles.settled();
    const [, retry = ''] = /^retry: rdpull (.*)\r$/m.exec(consoles.text('ttyS0')) ?? [];
    expect(retry).toStartWith('pull --keep ');
    expect((await rdpull(retry.split(' '))).status).toBe(0);
    expect(mounted()).toBe('ID=live\n');
  });
});

describe('--bind=DIR, before anything is asked for:', () => {
  test('DIR must not be where something else is mounted', async () => {
    run(['mount', '-t', 'tmpfs', 'tmpfs', mnt]);
    const { status, stderr } = await rdpull(pull('tree.tar', `--bind=${mnt}`));
    expect({ status, stderr }).toEqual({
      status: 14,
      stderr:
        `rdpull: error: something else is mounted on ${mnt} already\n` +
        `rdpull: try: unmount it first: umount ${mnt}; or name another directory\n`,
    });
    expect(asked).toEqual([]);
    expect(fs.existsSync(tree)).toBe(false);
  });

  test('DIR must not lie in the tree that is replaced', async () => {
    await rdpull(pull('tree.tar'));
    asked.splice(0);
    const { status, stderr } = await rdpull(pull('tree.tar', '--force', `--bind=${tree}/etc`));
    expect({ status, stderr }).toEqual({
      status: 15,
      stderr:
        `rdpull: error: ${tree}/etc lies in ${tree}, which is to be replaced\n` +
        'rdpull: try: name another directory\n',
    });
    expect(asked).toEqual([]);
    expect(fs.existsSync(`${tree}/etc/os-release`)).toBe(true);
  });

  test('what is in DIR is hidden, which is said', async () => {
    fs.writeFileSync(`${mnt}/note`, '');
    try {
      const { status, stderr } = await rdpull(
        pull('tree.tar', `--bind=${mnt}`).filter((word) => word !== '--quiet'),
      );
      expect(status).toBe(0);
      expect(stderr).toContain(
        `rdpull: warning: ${mnt} is not empty: what is in it is hidden while ${tree} is mounted there\n`,
      );
    } finally {
      run(['umount', mnt]);
      fs.rmSync(`${mnt}/note`);
    }
  });
});
