import fs from 'node:fs';
import path from 'node:path';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

/**
 * What real DHCP clients have kept of one and the same server's answers (dnsmasq 2.90): systemd-networkd 252 with RequestOptions=17 224,
 * NetworkManager 1.42, dracut's script for dhclient 4.4 in dash and in bash, klibc's ipconfig 2.0.12; and what systemd-networkd 262 says.
 */
export function recorded(
  name: 'networkd' | 'networkd-262.json' | 'networkmanager' | 'dracut-dash' | 'dracut-bash' | 'ipconfig',
): string {
  return fs.readFileSync(path.join(import.meta.dir, 'leases', name), 'utf8');
}

/** A directory with files in it, and an interface for each number: `client` is 3. */
export function machine(files: Readonly<Record<string, string>>): TemporaryDirectory {
  const root = new TemporaryDirectory();
  for (const [name, text] of Object.entries({
    'sys/class/net/lo/ifindex': '1\n',
    'sys/class/net/client/ifindex': '3\n',
    ...files,
  })) {
    fs.mkdirSync(path.dirname(root.file(name)), { recursive: true });
    fs.writeFileSync(root.file(name), text);
  }
  return root;
}

/** /proc/net/route as the kernel writes it, with these lines. */
export function routes(...lines: readonly string[]): string {
  const head = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  return [head, ...lines].map((line) => `${line.padEnd(127)}\n`).join('');
}
