import { describe, expect, test } from 'bun:test';
import path from 'node:path';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { addressOf } from '../../../src/origin/dhcp/network-address.ts';
import type { NetworkPlaceholder } from '../../../src/request/placeholder.ts';
import { run } from '../../fixtures/run.ts';
import { machine, recorded, routes } from './lease-tree.ts';

async function ask(placeholder: NetworkPlaceholder, files: Readonly<Record<string, string>>) {
  using root = machine(files);
  try {
    return await addressOf(placeholder, root.path);
  } catch (error) {
    const { code, message } = RdpullError.from(error);
    return `${code}: ${message.replaceAll(root.path, '')}`;
  }
}

const LEASE = { 'run/systemd/netif/leases/3': recorded('networkd') };

describe('{gateway}', () => {
  test('is that of the default route; a route that is down, or for one network, is none', async () => {
    const route = routes(
      'a\t00000000\t0100080A\t0002\t0\t0\t1\t00000000\t0\t0\t0',
      'b\t00000000\t0100080A\t0003\t0\t0\t1\t00FFFFFF\t0\t0\t0',
      'client\t00000000\tFE02000A\t0003\t0\t0\t1024\t00000000\t0\t0\t0',
    );
    expect(await ask('gateway', { ...LEASE, 'proc/net/route': route })).toBe('10.0.2.254');
  });

  test('is that of the lease while there is no route', async () => {
    expect(await ask('gateway', LEASE)).toBe('10.9.0.1');
  });

  test('as the kernel of this machine writes it', () => {
    const module = path.resolve(import.meta.dir, '../../../src/origin/dhcp/default-route.ts');
    const network = `ip link add lan0 type veth peer name lan1
ip address add 10.1.2.3/24 dev lan0
ip link set lan0 up
ip link set lan1 up
ip route add default via 10.1.2.77
exec "$@"`;
    const program = `console.log(JSON.stringify(require(${JSON.stringify(module)}).defaultRoute()))`;
    const told = run(['unshare', '-n', 'sh', '-ec', network, 'sh', process.execPath, '-e', program]);
    expect(JSON.parse(told.toString())).toEqual({ interface: 'lan0', gateway: '10.1.2.77' });
  });
});

test('{dhcp-server} is who has given the lease', async () => {
  expect(await ask('dhcp-server', LEASE)).toBe('10.9.0.1');
});

test.each([
  [
    'gateway',
    {},
    'dhcp-lease-missing: {gateway} in the URL: no DHCP client of this machine (systemd-networkd, NetworkManager, dracut, the kernel) has left a lease',
  ],
  [
    'dhcp-server',
    { 'run/net-eth0.conf': "ROOTSERVER='192.0.2.1'\n" },
    'bad-url: {dhcp-server} in the URL stands for nothing on this machine: no DHCP lease names its server: /run/net-eth0.conf (eth0) has the next server 192.0.2.1',
  ],
  [
    'gateway',
    { 'run/net-eth0.conf': "ROOTSERVER='192.0.2.1'\n" },
    'bad-url: {gateway} in the URL stands for nothing on this machine: there is no default route (IPv4), and no DHCP lease has a gateway: /run/net-eth0.conf (eth0) has the next server 192.0.2.1',
  ],
] as const)('{%s} where nobody says it', async (placeholder, files, expected) => {
  expect(await ask(placeholder, files)).toBe(expected);
});
