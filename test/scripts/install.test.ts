import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const INSTALL = path.resolve(import.meta.dir, '../../scripts/install');

const directory = new TemporaryDirectory();
beforeAll(() => {
  // Other tests may have left pages of other branches there.
  fs.rmSync(path.resolve(INSTALL, '../../dist/man'), { recursive: true, force: true });
  run([path.resolve(INSTALL, '../completions')]);
  run([process.execPath, 'scripts/inventory.ts'], { cwd: path.resolve(INSTALL, '../..') });
});
afterAll(() => directory[Symbol.dispose]());

/** Every file and link below a directory: mode, name, target. */
function listing(below: string): string {
  return run(['find', '.', '!', '-type', 'd', '-printf', '%M %P %l\n'], { cwd: below })
    .toString()
    .replaceAll(/ +\n/g, '\n')
    .trimEnd()
    .split('\n')
    .sort((a, b) => (a.slice(11) < b.slice(11) ? -1 : 1))
    .join('\n');
}

const INSTALLED = `\
lrwxrwxrwx etc/systemd/system-generators/systemd-import-generator /usr/bin/rdpull
-rwxr-xr-x usr/bin/rdpull
-rwxr-xr-x usr/lib/dracut/modules.d/90rdpull/module-setup.sh
-rwxr-xr-x usr/lib/dracut/modules.d/90rdpull/rdpull-network.sh
-rw-r--r-- usr/lib/dracut/modules.d/90rdpull/rdpull-resolv-conf.path
-rw-r--r-- usr/lib/dracut/modules.d/90rdpull/rdpull-resolv-conf.service
-rwxr-xr-x usr/lib/dracut/modules.d/90rdpull/rdpull-resolv-conf.sh
-rwxr-xr-x usr/lib/dracut/modules.d/90rdpull/rdpull-root.sh
-rwxr-xr-x usr/lib/dracut/modules.d/90rdpull/rdpull-wait.sh
-rw-r--r-- usr/lib/dracut/modules.d/90rdpull/wait-online.conf
-rw-r--r-- usr/lib/dracut/modules.d/90rdpull/zzzz-rdpull.network
-rw-r--r-- usr/lib/systemd/catalog/rdpull.catalog
-rw-r--r-- usr/lib/systemd/system/rdpull-free-initramfs.service
-rw-r--r-- usr/lib/systemd/system/rdpull-report-root.service
-rw-r--r-- usr/lib/udev/rules.d/60-rdpull-loop-ref.rules
-rw-r--r-- usr/lib/udev/rules.d/60-rdpull-nvme.rules
-rw-r--r-- usr/share/bash-completion/completions/rdpull
-rw-r--r-- usr/share/doc/rdpull/LICENSES
-rw-r--r-- usr/share/doc/rdpull/rdpull.cdx.json
-rw-r--r-- usr/share/fish/vendor_completions.d/rdpull.fish
-rw-r--r-- usr/share/man/man1/rdpull.1
-rw-r--r-- usr/share/man/man7/rdpull-errors.7
-rw-r--r-- usr/share/man/man7/rdpull-json.7
-rw-r--r-- usr/share/man/man7/rdpull.cache.7
-rw-r--r-- usr/share/man/man7/rdpull.pull.7
-rw-r--r-- usr/share/man/man8/rdpull-generator.8
-rw-r--r-- usr/share/zsh/vendor-completions/_rdpull`;

test('everything is installed where its readers look for it, and once more over itself', () => {
  const root = directory.file('usr-merged');
  run([INSTALL, `DESTDIR=${root}`]);
  expect(listing(root)).toBe(INSTALLED);
  run([INSTALL], { env: { PATH: process.env['PATH'], DESTDIR: root } });
  expect(listing(root)).toBe(INSTALLED);
  expect(run(['unshare', '-m', `${root}/usr/bin/rdpull`, '--version']).toString()).toMatch(/^rdpull /);
});

test('PREFIX moves the executable, its pages, completions and licences, and where the generator points to', () => {
  const root = directory.file('local');
  run([INSTALL, `DESTDIR=${root}`, 'PREFIX=/usr/local/']);
  const moved = INSTALLED.replaceAll('usr/bin', 'usr/local/bin')
    .replaceAll('usr/share', 'usr/local/share')
    // Where any zsh looks; the other directory is Debian's own, for packages.
    .replace('zsh/vendor-completions', 'zsh/site-functions');
  expect(listing(root).split('\n').sort()).toEqual(moved.split('\n').sort());
});

describe('installed, the completion is found', () => {
  const root = directory.file('found');
  const share = `${root}/usr/share`;
  const env = { PATH: process.env['PATH'], HOME: directory.path, LC_ALL: 'C.UTF-8' };
  beforeAll(() => void run([INSTALL, `DESTDIR=${root}`]));

  test('by bash, with the package bash-completion', () => {
    const script =
      '. /usr/share/bash-completion/bash_completion; _completion_loader rdpull; complete -p rdpull';
    const found = run(['bash', '--norc', '-c', script], { env: { ...env, XDG_DATA_HOME: share } });
    expect(found.toString()).toBe('complete -F _rdpull rdpull\n');
  });

  test('by zsh, in directories that it looks into for packages and for /usr/local', () => {
    const [, ...fpath] = run(['zsh', '-fc', "print -l '' $fpath"], { env }).toString().split('\n');
    expect(fpath).toContain('/usr/share/zsh/vendor-completions');
    expect(fpath).toContain('/usr/local/share/zsh/site-functions');
  });

  test('by fish', () => {
    const script = "complete -C 'rdpull pu'";
    // fish looks for the completion only of what it could start.
    const path = `${root}/usr/bin:${env.PATH}`;
    const found = run(['fish', '-c', script], { env: { ...env, PATH: path, XDG_DATA_DIRS: share } });
    expect(found.toString()).toStartWith('pull\t');
  });
});

test('the executable and what the initrd needs are enough: pages, completions and the licences of others need not be there', () => {
  const [checkout, root] = [directory.file('checkout'), directory.file('bare')];
  run(['mkdir', '-p', `${checkout}/dist`]);
  const sources = ['scripts', 'units', 'dracut-module', 'LICENSE'].map((name) =>
    path.resolve(INSTALL, '../..', name),
  );
  run(['cp', '--recursive', ...sources, checkout]);
  run(['ln', '--symbolic', path.resolve(INSTALL, '../../dist/rdpull'), `${checkout}/dist/rdpull`]);
  run([`${checkout}/scripts/install`, `DESTDIR=${root}`]);
  const needed = INSTALLED.split('\n').filter((line) => !/share\/(?!doc.*LICENSES)/.test(line));
  expect(listing(root)).toBe(needed.join('\n'));
});

test('a generator that an administrator has masked stays masked', () => {
  const root = directory.file('masked');
  const link = path.join(root, 'etc/systemd/system-generators/systemd-import-generator');
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.symlinkSync('/dev/null', link);
  run([INSTALL, `DESTDIR=${root}`]);
  expect(fs.readlinkSync(link)).toBe('/dev/null');
});

test.each([
  ['DESTIDR=/tmp/x', 'what is DESTIDR=/tmp/x?'],
  ['PREFIX=usr', 'PREFIX=usr is no absolute path'],
])('%s is refused', (argument, message) => {
  expect(() => run([INSTALL, argument])).toThrow(message);
});
