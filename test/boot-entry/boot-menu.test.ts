import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { RDPULL } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { bytes, END, GLOBAL, loadOption, NETWORK, node, uri } from '../origin/efi-image.ts';

const URL = 'http://10.0.1.9:8081/image.efi';
const MAC = '52:54:00:ab:cd:01';
const MAC_NODE = node(0x03, 0x0b, bytes([0x52, 0x54, 0, 0xab, 0xcd, 1], new Uint8Array(26), [1]));

/** The firmware's own way to the network device: ACPI, PCI, MAC. */
const DEVICE = bytes(
  node(0x02, 0x01, [0xd0, 0x41, 0x03, 0x0a, 0, 0, 0, 0]),
  node(0x01, 0x01, [0x00, 0x03]),
  MAC_NODE,
);
const PXE = loadOption(
  'UEFI PXEv4',
  bytes(DEVICE, node(0x03, 0x0c, new Uint8Array(23)), END),
  bytes('optional'),
);
const DISK = loadOption('debian', bytes(node(0x04, 0x01, new Uint8Array(38)), END));

const scratch = new TemporaryDirectory();
const efivars = scratch.file('efivars');
afterAll(() => scratch[Symbol.dispose]());
beforeEach(() => {
  fs.rmSync(efivars, { recursive: true, force: true });
  fs.mkdirSync(efivars);
  set('Boot0000', DISK);
  set('Boot0001', PXE);
  set('BootOrder', [0, 0, 1, 0]);
  set('BootCurrent', [0, 0]);
});

function set(name: string, payload: ArrayLike<number>): void {
  fs.writeFileSync(`${efivars}/${name}-${GLOBAL}`, bytes([7, 0, 0, 0], payload));
}

/** Without its attributes; undefined when there is none. */
function get(name: string): number[] | undefined {
  const file = `${efivars}/${name}-${GLOBAL}`;
  return fs.existsSync(file) ? [...fs.readFileSync(file).subarray(4)] : undefined;
}

/** In a mount namespace whose EFI variables these are, and a network namespace with one network device. */
function bootEntry(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const script = `mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /sys/firmware
mkdir -p /sys/firmware/efi/efivars
mount --bind "$1" /sys/firmware/efi/efivars
shift
ip link set lo up
ip link add lan1 address ${MAC} type veth peer name peer1
ip address add 10.0.1.7/24 dev lan1
ip link set lan1 up
ip link set peer1 up
exec "$@"`;
  const command = ['unshare', '-mn', 'sh', '-ec', script, 'sh', efivars, RDPULL, 'boot-entry', ...args];
  const { exitCode, stdout, stderr } = Bun.spawnSync(command);
  return { status: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

const THROUGH_DEVICE = bytes(DEVICE, node(0x03, 0x0c, new Uint8Array(23)), uri(URL), END);

describe('add', () => {
  test('makes an entry after all others, through the network device that reaches the server', () => {
    expect(bootEntry('add', URL)).toEqual({
      status: 0,
      stdout: '',
      stderr: `rdpull: Boot0002 boots ${URL} when nothing before it can be booted, or when it is chosen from the menu\n`,
    });
    expect(get('Boot0002')).toEqual([...loadOption('rdpull', THROUGH_DEVICE)]);
    expect(get('BootOrder')).toEqual([0, 0, 1, 0, 2, 0]);
    expect(get('BootNext')).toBeUndefined();
  });

  test('--first puts it before all others, and the same entry is used again', () => {
    bootEntry('add', URL);
    expect(bootEntry('add', '--first', URL).stderr).toBe(
      `rdpull: Boot0002 boots ${URL} first, from the next start on\n`,
    );
    expect(get('BootOrder')).toEqual([2, 0, 0, 0, 1, 0]);
    expect(get('Boot0003')).toBeUndefined();
  });

  test('--once leaves the order alone, and the next start begins with it', () => {
    const { stdout } = bootEntry('add', '--once', '--title=test of today', '--json', URL);
    expect(JSON.parse(stdout)).toEqual({
      number: '0002',
      title: 'test of today',
      url: URL,
      active: true,
      place: null,
      next: true,
      current: false,
    });
    expect(get('BootOrder')).toEqual([0, 0, 1, 0]);
    expect(get('BootNext')).toEqual([2, 0]);
  });

  test('takes the first number that is free', () => {
    fs.rmSync(`${efivars}/Boot0000-${GLOBAL}`);
    bootEntry('add', URL);
    expect(get('BootOrder')).toEqual([0, 0, 1, 0]);
    expect(get('Boot0000')).toEqual([...loadOption('rdpull', THROUGH_DEVICE)]);
  });

  test('lets the firmware choose where it has no entry for the device, and says so', () => {
    fs.rmSync(`${efivars}/Boot0001-${GLOBAL}`);
    expect(bootEntry('add', URL).stderr).toContain(
      `the firmware will choose the network device: the firmware has no entry for lan1 (${MAC}), by which its way to it could be known\n`,
    );
    expect(get('Boot0001')).toEqual([...loadOption('rdpull', bytes(uri(URL), END))]);
  });

  test('--interface= names the device, or leaves it to the firmware', () => {
    expect(bootEntry('add', '--interface=lan1', 'http://[fd00::9]/image.efi').status).toBe(0);
    const path = bytes(DEVICE, node(0x03, 0x0d, new Uint8Array(56)), uri('http://[fd00::9]/image.efi'), END);
    expect(get('Boot0002')).toEqual([...loadOption('rdpull', path)]);
    bootEntry('add', '--interface=any', URL);
    expect(get('Boot0003')).toEqual([...loadOption('rdpull', bytes(uri(URL), END))]);
    expect(
      bootEntry('add', '--interface=lan2', URL).stderr,
    ).toBe(`rdpull: error: --interface=lan2: there is no such network interface
rdpull: try: did you mean lan1?
`);
  });

  test('is read by efibootmgr, which shows the URL and the way', () => {
    bootEntry('add', '--first', URL);
    const env = { ...process.env, EFIVARFS_PATH: `${efivars}/` };
    const shown = run(['efibootmgr', '--verbose'], { env }).toString();
    expect(shown).toMatch(/^BootOrder: 0002,0000,0001$/m);
    expect(shown).toMatch(
      /^Boot0002\* rdpull\t.*MAC\(525400abcd01,1\)\/IPv4\(.*\)\/Uri\(http:\/\/10\.0\.1\.9:8081\/image\.efi\)/m,
    );
  });

  test.each([
    [['add', 'ftp://h/x'], '"ftp://h/x" is no URL that firmware boots from'],
    [['add', 'http://me:secret@h/x.efi'], 'holds a login'],
    [['add', 'http://h/{serial}.efi'], 'holds {serial}, which firmware does not replace'],
    [['add'], 'boot-entry add needs the URL of a UKI'],
    [['add', '--first', '--once', URL], '--first and --once contradict each other'],
    [['add', `--title=${'x'.repeat(101)}`, URL], 'a title has at most 100 characters'],
    [['list', URL], 'boot-entry list takes nothing'],
    [['list', '--first'], '--first is for boot-entry add'],
    [['ad', URL], 'did you mean rdpull boot-entry add?'],
    [[URL], 'did you mean rdpull boot-entry add?'],
    [['remove'], 'boot-entry remove needs the number of an entry, or its URL'],
  ])('%j is refused before anything is done', (args, message) => {
    const { status, stderr } = bootEntry(...args);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('secret');
    expect(status).toBe(2);
    expect(fs.readdirSync(efivars)).toHaveLength(4);
  });
});

describe('list', () => {
  test('shows the menu in its order, and what is not in it', () => {
    set('Boot000A', loadOption('UEFI HTTPv4', bytes(NETWORK, uri(URL), END)));
    set('BootNext', [10, 0]);
    expect(bootEntry('list')).toEqual({
      status: 0,
      stdout: `Boot0000  debian  (current)
Boot0001  UEFI PXEv4
Boot000A  UEFI HTTPv4  ${URL}  (next, not in the order)
`,
      stderr: '',
    });
  });

  test('shows neither logins nor control characters of what others have written', () => {
    set('Boot0003', loadOption('a\x1b[31mb', bytes(uri('http://me:secret@h/x.efi'), END)));
    const { stdout } = bootEntry('list');
    expect(stdout).toContain('Boot0003  a\\x1b[31mb  http://h/x.efi  (not in the order)');
  });

  test('passes over entries that are damaged', () => {
    set('Boot0004', [1, 0, 0]);
    expect(bootEntry('list').stdout).toBe('Boot0000  debian  (current)\nBoot0001  UEFI PXEv4\n');
  });
});

describe('remove', () => {
  test('takes an entry out, and all that points to it', () => {
    bootEntry('add', '--first', URL);
    bootEntry('add', '--once', URL);
    expect(bootEntry('remove', URL).stderr).toBe('rdpull: Boot0002 (rdpull) is removed\n');
    expect([get('Boot0002'), get('BootNext'), get('BootOrder')]).toEqual([
      undefined,
      undefined,
      [0, 0, 1, 0],
    ]);
  });

  test('removes nothing that does not boot over HTTP', () => {
    expect(
      bootEntry('remove', '0000').stderr,
    ).toBe(`rdpull: error: Boot0000 (debian) does not boot over HTTP: it is not removed
rdpull: try: efibootmgr --delete-bootnum removes any entry
`);
    expect(bootEntry('remove', '0007').stderr).toContain('there is no boot entry 0007');
    expect(get('Boot0000')).toBeDefined();
  });

  test('leaves no order where it was the only entry', () => {
    for (const name of ['Boot0000', 'Boot0001', 'BootOrder']) fs.rmSync(`${efivars}/${name}-${GLOBAL}`);
    bootEntry('add', '--interface=any', URL);
    expect(get('BootOrder')).toEqual([0, 0]);
    bootEntry('remove', 'Boot0000');
    expect(fs.readdirSync(efivars)).toEqual([`BootCurrent-${GLOBAL}`]);
  });
});

test('variables that are immutable are changed all the same, and are immutable afterwards', () => {
  run(['chattr', '+i', `${efivars}/BootOrder-${GLOBAL}`]);
  try {
    expect(bootEntry('add', URL).status).toBe(0);
    expect(get('BootOrder')).toEqual([0, 0, 1, 0, 2, 0]);
    expect(run(['lsattr', `${efivars}/BootOrder-${GLOBAL}`]).toString()).toMatch(/^-*i/);
  } finally {
    run(['chattr', '-i', `${efivars}/BootOrder-${GLOBAL}`]);
  }
});

test('a machine without UEFI has no menu', () => {
  const script = 'mount -t tmpfs tmpfs /sys/firmware; exec "$@"';
  const { exitCode, stderr } = Bun.spawnSync([
    'unshare',
    '-m',
    'sh',
    '-c',
    script,
    'sh',
    RDPULL,
    'boot-entry',
    'list',
  ]);
  expect(exitCode).toBe(14);
  expect(stderr.toString()).toContain('this machine has no boot menu that can be changed');
});
