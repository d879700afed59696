import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import fs from 'node:fs';
import { keepNetwork } from '../../src/initramfs/kept-network.ts';
import { run } from '../fixtures/run.ts';
import { systemdTree } from '../fixtures/systemd-tree.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

// Whoever comes first waits until the tree of a suite is unpacked.
setDefaultTimeout(600_000);

const DROP_IN = 'systemd/system/systemd-networkd.service.d/50-rdpull.conf';
const NETWORKD = 'usr/lib/systemd/systemd-networkd';

function failed(text: string): never {
  throw new Error(text);
}

test('networkd leaves the addresses while the root comes over the network, and no longer', () => {
  using directory = new TemporaryDirectory();
  const kept = keepNetwork(failed, directory.path);
  expect(fs.readFileSync(directory.file(DROP_IN), 'utf8')).toBe(
    `# Written by rdpull for as long as the root comes over the network.

[Service]
ExecStartPre=-+/bin/sh /run/rdpull/keep-network
KillSignal=SIGUSR2
`,
  );
  // What the script has made of the network of a real root, and somebody else's.
  const made = directory.file('systemd/network/10-wired.network.d');
  fs.mkdirSync(made, { recursive: true });
  for (const name of ['50-rdpull.conf', '60-other.conf']) fs.writeFileSync(`${made}/${name}`, '');
  kept[Symbol.dispose]();
  expect(fs.existsSync(directory.file(DROP_IN))).toBe(false);
  expect(directory.names('rdpull')).toEqual([]);
  expect(fs.readdirSync(made)).toEqual(['60-other.conf']);
});

test('where it cannot be written, a line says so', () => {
  using directory = new TemporaryDirectory();
  const file = directory.write('file', '');
  const warnings: string[] = [];
  keepNetwork((text) => warnings.push(text), file)[Symbol.dispose]();
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toStartWith('the network may be gone before the machine is down: ');
});

/** The networkd of the machine, 252 in Debian 12, and those of later releases. */
const NETWORKDS: Readonly<Record<string, () => readonly string[]>> = {
  "the machine's own networkd": () => [`/${NETWORKD.replace('usr/', '')}`],
  'the networkd of trixie': () => systemdTree('trixie').command(NETWORKD),
  'the networkd of forky': () => systemdTree('forky').command(NETWORKD),
};

/**
 * An initrd, and a real root with a network of its own, on a machine whose DHCP server has one address: in the initrd networkd asks by the
 * hardware address, as zzzz-rdpull.network says, and in the real root, as it does by default, by an identifier for which the server has
 * none left. Called with what is left in /run by the initrd, and networkd. Says which addresses came and went.
 */
const SWITCH_ROOT = `
left=$1
shift
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /etc/systemd/network
mount -t tmpfs -o mode=755 tmpfs /usr/lib/systemd/network
mount -t proc proc /proc
# networkd waits for udev where /sys can be written to.
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/systemd/network /run/netns
install -d -o systemd-network -g systemd-network /run/systemd/netif /run/systemd/netif/leases /run/systemd/netif/links /run/systemd/netif/lldp
ip link set lo up
ip netns add server
ip link add client type veth peer name server
ip link set server netns server
ip -n server address add 10.9.0.1/24 dev server
ip -n server link set server up
ip netns exec server dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --port=0 --bind-interfaces \\
  --interface=server --dhcp-range=10.9.0.10,10.9.0.10,1h --dhcp-leasefile=/run/dnsmasq.leases >/run/dnsmasq.log 2>&1 &
ip -4 -oneline monitor address >/run/addresses &
address() { ip -4 -oneline address show client | grep -o 10.9.0.10; }
printf '[Match]\\nName=client\\n[Network]\\nDHCP=ipv4\\n[DHCPv4]\\nClientIdentifier=mac\\n' >/run/systemd/network/zzzz.network
SYSTEMD_IN_INITRD=1 "$@" >/run/initrd.log 2>&1 &
networkd=$!
for _ in $(seq 100); do address >/dev/null && break; sleep 0.1; done
kill $networkd
wait $networkd || true
rm /run/systemd/network/zzzz.network
cp -r "$left/." /run/
printf '[Match]\\nName=client\\n[Network]\\nDHCP=ipv4\\n' >/etc/systemd/network/10-wired.network
before=$(sed -n 's,^ExecStartPre=-+,,p' /run/${DROP_IN} 2>/dev/null || true)
$before
SYSTEMD_LOG_LEVEL=debug "$@" >/run/root.log 2>&1 &
networkd=$!
for _ in $(seq 100); do grep -q 'client: .*DHCPv4 client: DISCOVER' /run/root.log && break; sleep 0.1; done
sleep 1
echo "with networkd: $(address)"
kill -USR2 $networkd
wait $networkd || true
echo "after it: $(address)"
cat /run/addresses
`;

/** @param left what the initrd leaves below /run */
function addresses(networkd: readonly string[], left: string): string {
  const namespace = [
    'unshare',
    '--mount',
    '--net',
    '--pid',
    '--fork',
    '--kill-child',
    '--propagation',
    'private',
  ];
  return run([...namespace, 'bash', '-uc', SWITCH_ROOT, 'bash', left, ...networkd]).toString();
}

describe.each(Object.entries(NETWORKDS))('%s', (_name, command) => {
  test('keeps the address of the initrd in the real root, and when it goes', () => {
    using directory = new TemporaryDirectory();
    keepNetwork(failed, directory.path);
    const said = addresses(command(), directory.path);
    expect(said).toContain('with networkd: 10.9.0.10\nafter it: 10.9.0.10\n');
    expect(said).toMatch(/inet 10\.9\.0\.10\//);
    expect(said).not.toContain('Deleted');
  });
});

test('without that, the networkd of forky takes the address away, and does not get it again', () => {
  using directory = new TemporaryDirectory();
  const said = addresses(NETWORKDS['the networkd of forky']?.() ?? [], directory.path);
  expect(said).toContain('with networkd: \nafter it: \n');
  expect(said).toMatch(/Deleted .* inet 10\.9\.0\.10\//);
});
