import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { readDhcpLeases } from '../../../src/origin/dhcp/dhcp-leases.ts';
import { machine, recorded, routes } from './lease-tree.ts';

const BOOT_FILE = 'http://10.9.0.1:8081/image.efi';
const ROOT_PATH = 'http://10.9.0.1:8081/images/';

/** What is read of a machine with these files; paths without the directory that stands for its root. */
async function leases(files: Readonly<Record<string, string>>) {
  using root = machine(files);
  const details: string[] = [];
  const found = await readDhcpLeases((text) => details.push(text.replaceAll(root.path, '')), root.path);
  return {
    details,
    found: found.map((lease) => ({ ...lease, source: lease.source.slice(root.path.length) })),
  };
}

const NOTHING = {
  bootFile: undefined,
  rootPath: undefined,
  tftpServer: undefined,
  nextServer: undefined,
  gateway: undefined,
  dhcpServer: undefined,
};

describe('what real DHCP clients keep is read', () => {
  test.each([
    [
      'systemd-networkd',
      'run/systemd/netif/leases/3',
      recorded('networkd'),
      { interface: 'client', rootPath: ROOT_PATH, gateway: '10.9.0.1', dhcpServer: '10.9.0.1' },
    ],
    [
      'NetworkManager',
      'run/NetworkManager/devices/3',
      recorded('networkmanager'),
      {
        interface: 'client',
        bootFile: BOOT_FILE,
        rootPath: ROOT_PATH,
        gateway: '10.9.0.1',
        dhcpServer: '10.9.0.1',
      },
    ],
    ...(['dracut-dash', 'dracut-bash'] as const).map(
      (name) =>
        [
          name,
          'tmp/dhclient.client.dhcpopts',
          recorded(name),
          {
            interface: 'client',
            bootFile: BOOT_FILE,
            rootPath: ROOT_PATH,
            // This server was told of two names, and has sent both.
            tftpServer: 'bootserver.example10.9.0.3',
            gateway: '10.9.0.1',
            dhcpServer: '10.9.0.1',
          },
        ] as const,
    ),
    [
      'ipconfig of klibc',
      'run/net-client.conf',
      recorded('ipconfig'),
      { interface: 'client', bootFile: BOOT_FILE, rootPath: ROOT_PATH, gateway: '10.9.0.1' },
    ],
    [
      // pnp_seq_show() of net/ipv4/ipconfig.c.
      'the kernel',
      'proc/net/pnp',
      '#PROTO: DHCP\ndomain example.com\nnameserver 10.9.0.1\nbootserver 10.9.0.2\n',
      { interface: undefined },
    ],
  ])('%s', async (_, file, text, expected) => {
    expect(await leases({ [file]: text })).toEqual({
      details: [],
      found: [{ ...NOTHING, source: `/${file}`, nextServer: '10.9.0.2', ...expected }],
    });
  });

  test('of what dracut writes for NetworkManager', async () => {
    const text = `new_root_path=http://h/r.raw\nnew_next_server=192.0.2.7\nfilename=pxelinux.0\n`;
    const { found } = await leases({ 'tmp/dhclient.eth0.dhcpopts': text });
    expect(found).toEqual([
      {
        ...NOTHING,
        source: '/tmp/dhclient.eth0.dhcpopts',
        interface: 'eth0',
        bootFile: 'pxelinux.0',
        rootPath: 'http://h/r.raw',
        nextServer: '192.0.2.7',
      },
    ]);
  });
});

test('the interface of the default route comes first, and of two routes the one of the lower metric', async () => {
  const { found } = await leases({
    'sys/class/net/wlan0/ifindex': '4\n',
    'run/systemd/netif/leases/3': 'NEXT_SERVER=10.9.0.2\n',
    'run/systemd/netif/leases/4': 'NEXT_SERVER=10.8.0.2\n',
    'run/NetworkManager/devices/4': 'next-server=10.8.0.3\n',
    'proc/net/route': routes(
      'client\t00000000\t0100090A\t0003\t0\t0\t2048\t00000000\t0\t0\t0',
      'wlan0\t00000000\t0100080A\t0003\t0\t0\t1024\t00000000\t0\t0\t0',
      'client\t0000090A\t00000000\t0001\t0\t0\t1024\t00FFFFFF\t0\t0\t0',
    ),
  });
  expect(found.map(({ nextServer }) => nextServer)).toEqual(['10.8.0.2', '10.8.0.3', '10.9.0.2']);
});

describe('what nobody can use counts as not said', () => {
  test.each([
    ['no file', {}],
    [
      'a client without a lease',
      { 'run/NetworkManager/devices/3': '[device]\nmanaged=true\nnm-owned=false\n' },
    ],
    [
      'addresses that are none',
      { 'run/systemd/netif/leases/3': 'NEXT_SERVER=0.0.0.0\nROUTER=fe80::1\nSERVER_ADDRESS=10.9.0.1.2\n' },
    ],
    ['an escape code', { 'run/systemd/netif/leases/3': 'ROOT_PATH=http://h/\x1b[31mred\n' }],
    ['what is no ASCII', { 'run/net-a.conf': "filename='http://h/ä.efi'\n" }],
    ['what is too long', { 'run/net-a.conf': `filename='http://h/${'a'.repeat(2000)}'\n` }],
    ['a host name with a path in it', { 'tmp/dhclient.a.dhcpopts': "new_tftp_server_name='h/../x@y'\n" }],
    [
      'a file without an end',
      { 'run/systemd/netif/leases/3': `${'#'.repeat(70_000)}\nNEXT_SERVER=10.9.0.2\n` },
    ],
    ['a directory in its place', { 'run/net-a.conf/x': 'ROOTSERVER=10.9.0.2\n' }],
  ])('%s', async (_, files) => {
    expect((await leases(files)).found).toEqual([]);
  });

  test('a link that somebody has put into /tmp, and a FIFO', async () => {
    using root = machine({ secret: 'new_next_server=10.9.0.2\n', 'tmp/x': '' });
    fs.symlinkSync(root.file('secret'), root.file('tmp/dhclient.eth0.dhcpopts'));
    Bun.spawnSync(['mkfifo', root.file('tmp/dhclient.eth1.dhcpopts')]);
    const details: string[] = [];
    expect(await readDhcpLeases((text) => details.push(text), root.path)).toEqual([]);
    expect(details.join()).toContain('dhclient.eth0.dhcpopts cannot be read: ELOOP');
  });

  test('a link whose name would clear the screen, which is shown as what it is', async () => {
    using root = machine({ 'tmp/x': '' });
    fs.symlinkSync('x', root.file('tmp/dhclient.\x1b[2J.dhcpopts'));
    const details: string[] = [];
    expect(await readDhcpLeases((text) => details.push(text), root.path)).toEqual([]);
    expect(details).toEqual([
      expect.stringMatching(/^\S+\/tmp\/dhclient\.\\x1b\[2J\.dhcpopts cannot be read: ELOOP: [\w ]+$/),
    ]);
  });

  test('more files than any machine has interfaces', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [
        `tmp/dhclient.eth${index}.dhcpopts`,
        'new_next_server=10.9.0.2\n',
      ]),
    );
    expect((await leases(many)).found).toHaveLength(64);
  });
});
