import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { version } from '../../src/version.ts';
import { RDPULL } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { inSuiteTree, SUITES, type Suite } from '../fixtures/suite-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

// Whoever comes first waits until the tree of a suite is made.
setDefaultTimeout(600_000);

const PULL = 'verify=no,machine,raw:root:http://10.0.2.2/root.raw.xz';

/** What the module takes from the machine that builds the initrd: whom to trust. */
const TRUST = {
  'etc/systemd/import-pubring.pgp': 'key of the administrator\n',
  'usr/lib/systemd/import-pubring.pgp': 'key of the distribution\n',
  'etc/verity.d/builder.crt': 'certificate of a builder\n',
  'etc/voa/debian/image/default/openpgp/0123.openpgp': 'key in the hierarchy\n',
};
const MASKED = 'etc/voa/debian/image/default/openpgp/4567.openpgp';

/**
 * Installs rdpull into the tree of a suite and makes an initrd there.
 *
 * @param directory is made; the unpacked initrd is left there as `initrd`
 * @returns what dracut printed
 */
function makeInitrd(suite: Suite, directory: string, options: string): string {
  fs.mkdirSync(directory);
  const trust = Object.entries(TRUST).map(
    ([file, content]) => `mkdir -p /${path.dirname(file)}; printf '${content}' >/${file}`,
  );
  const script = `
/checkout/scripts/install >/dev/null 2>&1
${trust.join('\n')}
ln -s /dev/null /${MASKED}
dracut --force --verbose --no-compress ${options} --kver "$(ls /lib/modules)" /var/tmp/initrd
mkdir /shared/initrd
cd /shared/initrd
lsinitrd --unpack /var/tmp/initrd
# As the kernel does, with the date that is in the archive.
cpio --extract --quiet --unconditional --preserve-modification-time usr/lib/clock-epoch </var/tmp/initrd`;
  return inSuiteTree(suite, directory, script);
}

/** What is called like rdpull or is its own for another reason, with the targets of links. */
function listed(initrd: string): string[] {
  return fs
    .globSync(['**/*rdpull*', 'usr/lib/rdpull/*', 'etc/systemd/system-generators/*', 'etc/resolv.conf'], {
      cwd: initrd,
    })
    .filter((name) => !fs.lstatSync(path.join(initrd, name)).isDirectory())
    .map((name) => {
      const file = path.join(initrd, name);
      return fs.lstatSync(file).isSymbolicLink() ? `${name} -> ${fs.readlinkSync(file)}` : name;
    })
    .sort();
}

/** The kernel modules that are neither in the initrd nor part of its kernel. */
function lacking(initrd: string): string[] {
  const [modules = ''] = fs.globSync('usr/lib/modules/*', { cwd: initrd });
  const builtin = fs.readFileSync(path.join(initrd, modules, 'modules.builtin'), 'utf8');
  const present = fs.globSync(`${modules}/kernel/**/*.ko*`, { cwd: initrd });
  const names = [...builtin.split('\n'), ...present].map((file) => /([^/]+)\.ko/.exec(file)?.[1]);
  const wanted = [
    'loop',
    'overlay',
    'erofs',
    'squashfs',
    'ext4',
    'btrfs',
    'xfs',
    'vfat',
    'efivarfs',
    'virtio_net',
    'nvme-tcp',
    'nls_iso8859-1',
  ];
  return wanted.filter((name) => !names.includes(name));
}

/** Called with the unpacked initrd, a file with the kernel command line, and the script. */
const CHROOT = `
cd "$1"
mount -t proc proc proc
mount --bind "$2" proc/cmdline
mount -t tmpfs run run
mkdir -p etc/cmdline.d
mount -t tmpfs conf etc/cmdline.d
exec env -i PATH=/usr/bin:/usr/sbin SYSTEMD_IN_INITRD=1 "$(command -v chroot)" . sh -c ". /lib/dracut-lib.sh; $3"
`;

/** What systemd does with the generator. */
const GENERATE = `
set -- /run/systemd/generator /run/systemd/generator.early /run/systemd/generator.late
mkdir -p "$@"
/etc/systemd/system-generators/systemd-import-generator "$@"`;

const shared = new TemporaryDirectory();
afterAll(() => shared[Symbol.dispose]());

describe.each([...SUITES])('the dracut of %s', (suite) => {
  const directory = shared.file(suite);
  const inside = (...names: string[]) => path.join(directory, 'initrd', ...names);
  const begun = Date.now();
  let log = '';
  beforeAll(() => {
    log = makeInitrd(suite, directory, '--no-hostonly --strip --aggressive-strip --modules rdpull');
  });

  /**
   * Runs a shell script in the initrd, with this kernel command line, and behind dracut's own functions.
   *
   * @returns what it printed
   */
  function inInitrd(commandLine: string, script: string): string {
    const file = shared.write('cmdline', `${commandLine}\n`);
    const namespace = ['unshare', '--mount', '--propagation', 'private', 'sh', '-euc', CHROOT, 'sh'];
    return run([...namespace, inside(), file, script]).toString();
  }

  test('puts everything into the initrd that belongs to rdpull', () => {
    const hooks = suite === 'bookworm' ? 'usr/lib/dracut/hooks' : 'var/lib/dracut/hooks';
    expect(listed(inside())).toEqual(
      [
        'etc/resolv.conf -> ../run/rdpull/resolv.conf',
        'etc/systemd/system-generators/systemd-import-generator -> ../../../usr/bin/rdpull',
        'usr/bin/rdpull',
        'usr/lib/rdpull/resolv-conf',
        'usr/lib/systemd/network/zzzz-rdpull.network',
        'usr/lib/systemd/system/initrd.target.wants/rdpull-free-initramfs.service -> ../rdpull-free-initramfs.service',
        'usr/lib/systemd/system/initrd.target.wants/rdpull-report-root.service -> ../rdpull-report-root.service',
        'usr/lib/systemd/system/rdpull-free-initramfs.service',
        'usr/lib/systemd/system/rdpull-report-root.service',
        'usr/lib/systemd/system/rdpull-resolv-conf.path',
        'usr/lib/systemd/system/rdpull-resolv-conf.service',
        'usr/lib/systemd/system/systemd-networkd-wait-online.service.d/rdpull.conf',
        'usr/lib/systemd/system/systemd-networkd.service.wants/rdpull-resolv-conf.path -> ../rdpull-resolv-conf.path',
        'usr/lib/udev/rules.d/60-rdpull-loop-ref.rules',
        'usr/lib/udev/rules.d/60-rdpull-nvme.rules',
        `${hooks}/cmdline/05-rdpull-network.sh`,
        `${hooks}/cmdline/98-rdpull-root.sh`,
        `${hooks}/initqueue/50-rdpull-wait.sh`,
      ].sort(),
    );
    expect(log).not.toMatch(/90rdpull\/|inst\w*: command not found/);
  });

  test('brings what systemd needs to boot with it', () => {
    for (const unit of [
      'network-online.target',
      'modprobe@.service',
      'systemd-networkd.service',
      'initrd-switch-root.target',
    ]) {
      expect([unit, fs.existsSync(inside('usr/lib/systemd/system', unit))]).toEqual([unit, true]);
    }
    expect(lacking(inside())).toEqual([]);
  });

  test('brings the keys and certificates of the machine it runs on', () => {
    for (const [file, content] of Object.entries(TRUST)) {
      expect([file, fs.readFileSync(inside(file), 'utf8')]).toEqual([file, content]);
    }
    expect(fs.readlinkSync(inside(MASKED))).toBe('/dev/null');
    expect(fs.readFileSync(inside('etc/ssl/certs/ca-certificates.crt'), 'utf8')).toContain(
      'BEGIN CERTIFICATE',
    );
  });

  test('tells PID 1 when it was made, so that a clock that is behind is moved forward', () => {
    const { mtimeMs } = fs.statSync(inside('usr/lib/clock-epoch'));
    expect(mtimeMs).toBeWithin(begun - 1000, Date.now());
  });

  test('strips the executables, and leaves rdpull as it is', () => {
    expect(log).toContain('strip');
    expect(fs.readFileSync(inside('usr/bin/rdpull')).equals(fs.readFileSync(RDPULL))).toBe(true);
    expect(inInitrd('', 'rdpull --version')).toBe(`rdpull ${version}\n`);
  });

  test('makes an initrd whose generator is rdpull', () => {
    const script = `${GENERATE}; cd /run/systemd; echo generator*/rdpull@* generator*/sysroot.mount`;
    expect(inInitrd(`quiet rd.systemd.pull=${PULL}`, script)).toBe(
      'generator/rdpull@run-machines-root.raw.service generator.early/sysroot.mount\n',
    );
  });

  test.each([
    ['nothing when nothing is pulled', 'root=LABEL=local', 'neednet=0'],
    [
      'nothing when the image is in the initrd',
      'rd.systemd.pull=verify=no,machine,raw:root:file:///root.raw',
      'neednet=0',
    ],
    ['the network and DHCP for a pull', `rd.systemd.pull=${PULL}`, 'neednet=1 dhcp'],
    [
      'the network as the command line configures it',
      `ip=10.0.0.2::10.0.0.1:255.255.255.0::eth0:none rd.systemd.pull=${PULL}`,
      'neednet=1 10.0.0.2::10.0.0.1:255.255.255.0::eth0:none',
    ],
  ])('asks dracut for %s', (_what, commandLine, wanted) => {
    const script = `${GENERATE}; . $hookdir/cmdline/05-rdpull-network.sh
if getargbool 0 rd.neednet; then echo neednet=1 "$(getarg ip=)"; else echo neednet=0; fi`;
    expect(inInitrd(commandLine, script)).toBe(`${wanted}\n`);
  });

  test.each([
    ['root=bind:/run/machines/root', 'accepted'],
    ['root=nonsense', 'left to others'],
  ])('is told that %s is %s', (commandLine, verdict) => {
    const script = `root=$(getarg root=); . $hookdir/cmdline/98-rdpull-root.sh
[ "$rootok" = 1 ] && echo accepted || echo left to others`;
    expect(inInitrd(commandLine, script)).toBe(`${verdict}\n`);
  });

  test.each([
    ['as long as images are being pulled', `rd.systemd.pull=${PULL}`, '0'],
    ['as ever when there are none', 'quiet', '200'],
  ])('waits for the root device %s', (_how, commandLine, loops) => {
    const script = `${GENERATE}; main_loop=200; . $hookdir/initqueue/50-rdpull-wait.sh; echo $main_loop`;
    expect(inInitrd(commandLine, script)).toBe(`${loops}\n`);
  });

  test('makes an initrd that can read encrypted credentials, and says why when it cannot', () => {
    const script = `echo 0123456789abcdef0123456789abcdef >/etc/machine-id
ENCRYPTED_CREDENTIALS_DIRECTORY=/run/credentials/@encrypted; export ENCRYPTED_CREDENTIALS_DIRECTORY
mkdir -p $ENCRYPTED_CREDENTIALS_DIRECTORY /etc/credstore.encrypted
encrypt() { systemd-creds encrypt --with-key=host "--name=\${1##*/}" - "$1" 2>/dev/null; }
systemd-creds setup 2>/dev/null
echo '${PULL}' | encrypt $ENCRYPTED_CREDENTIALS_DIRECTORY/import.pull
${GENERATE}; ls /run/systemd/generator | grep rdpull@
pull() { rdpull pull --quiet --verify=no https://127.0.0.1:1/root.raw.xz 2>&1 | grep '^rdpull: error: ' || true; }
printf 'secret\\nand more' | encrypt /etc/credstore.encrypted/rdpull.bearer
pull
cp /etc/credstore.encrypted/rdpull.bearer /etc/credstore.encrypted/rdpull.login
rm /etc/credstore.encrypted/rdpull.bearer
pull`;
    const [unit, decrypted, refused] = inInitrd('quiet', script).split('\n');
    expect(unit).toBe('rdpull@run-machines-root.raw.service');
    expect(decrypted).toEndWith('the credential rdpull.bearer cannot be used: it is longer than one line');
    expect(refused).toMatch(
      /the credential rdpull\.login cannot be used: it is encrypted, and systemd-creds cannot decrypt it: .*rdpull\.bearer/,
    );
  });

  test('makes an initrd that can set up dm-verity where the image has the tools', () => {
    const tools = ['usr/lib/systemd/systemd-veritysetup', 'usr/lib/systemd/system/veritysetup.target'];
    const libraries = fs.globSync('usr/lib/x86_64-linux-gnu/libcryptsetup.so.*', { cwd: inside() });
    const modules = fs.globSync('usr/lib/modules/*/kernel/drivers/md/dm-verity.ko*', { cwd: inside() });
    const present = tools.map((file) => fs.existsSync(inside(file)));
    // trixie has them in a package of its own, which its tree lacks.
    const all = suite !== 'trixie';
    expect([...present, libraries.length > 0, modules.length > 0]).toEqual([all, all, all, all]);
  });

  test('makes an initrd whose resolver asks the servers that networkd has learnt', () => {
    const states = [
      'OPER_STATE=off',
      'OPER_STATE=routable\\nDNS=10.0.2.3 2001:db8::53#dns.example.com\\nNTP=10.0.2.4\\nDOMAINS=example.com lab',
      'OPER_STATE=routable\\nDNS=10.0.2.9',
      'OPER_STATE=off',
    ];
    const steps = states.map(
      (state) =>
        `printf '${state}\\n' >/run/systemd/netif/state; /usr/lib/rdpull/resolv-conf; cat /etc/resolv.conf || echo none`,
    );
    expect(inInitrd('', `mkdir -p /run/systemd/netif; ${steps.join('; echo; ')}`)).toBe(
      'none\n\nnameserver 10.0.2.3\nnameserver 2001:db8::53\nsearch example.com lab\n\nnameserver 10.0.2.9\n\n',
    );
  });

  test('makes an initrd with units that its systemd has nothing to say against', () => {
    const units = [
      'rdpull-resolv-conf.path',
      'rdpull-resolv-conf.service',
      'systemd-networkd-wait-online.service',
    ];
    const script = `systemd-analyze verify --root=/shared/initrd --man=no --generators=no ${units.join(' ')} || true`;
    expect(inSuiteTree(suite, directory, script)).not.toMatch(/rdpull|wait-online/);
  });
});

test('an initrd for one machine only can pull whatever there is, too', () => {
  const directory = shared.file('hostonly');
  makeInitrd('forky', directory, '--hostonly --no-hostonly-cmdline --modules rdpull');
  const initrd = path.join(directory, 'initrd');
  expect(lacking(initrd)).toEqual([]);
  expect(fs.readFileSync(path.join(initrd, 'etc/systemd/import-pubring.pgp'), 'utf8')).toBe(
    TRUST['etc/systemd/import-pubring.pgp'],
  );
});

test.each([
  ['no', true],
  ['yes', false],
])('with --reproducible=%s the initrd says when it was made: %s', (reproducible, says) => {
  const initrd = shared.file(`reproducible-${reproducible}`);
  fs.mkdirSync(path.join(initrd, 'usr/lib'), { recursive: true });
  const script = `reproducible=$1 initdir=$2; . dracut-module/module-setup.sh; install_clock_epoch`;
  run(['bash', '-euc', script, 'bash', reproducible, initrd]);
  expect(fs.existsSync(path.join(initrd, 'usr/lib/clock-epoch'))).toBe(says);
});

test.each([...SUITES])('the dracut of %s finds rdpull also where PREFIX=/usr/local has put it', (suite) => {
  const script = `
/checkout/scripts/install PREFIX=/usr/local >/dev/null 2>&1
# As dracut has it.
DRACUT_PATH='/sbin /bin /usr/sbin /usr/bin' dracutsysrootdir=''
. /usr/lib/dracut/dracut-functions.sh
. /usr/lib/dracut/modules.d/90rdpull/module-setup.sh
check || echo "$? $(executable_path)"
ln -sf /dev/null /etc/systemd/system-generators/systemd-import-generator
require_binaries() { echo "missing: $*"; return 1; }
check || echo "$? $(executable_path)"`;
  expect(inSuiteTree(suite, shared.path, script)).toBe('255 /usr/local/bin/rdpull\nmissing: rdpull\n1 \n');
});
