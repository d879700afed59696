import { defaultRoute } from './default-route.ts';
import type { DhcpLease } from './dhcp-lease.ts';
import { leasesInFiles } from './lease-file.ts';
import { leasesOfNetworkd } from './networkd-socket.ts';

/**
 * What DHCP has told this machine, as far as its clients have kept it: that of the interface with the default route first, then in the
 * order of the clients.
 *
 * @param detail takes a line about a source that cannot be read
 * @param root where run, tmp, proc and sys lie
 */
export async function readDhcpLeases(
  detail: (text: string) => void,
  root = '',
): Promise<readonly DhcpLease[]> {
  const leases = [...(await leasesOfNetworkd(root, detail)), ...leasesInFiles(root, detail)];
  const first = defaultRoute(root)?.interface;
  const isFirst = (lease: DhcpLease) => first !== undefined && lease.interface === first;
  return [...leases.filter(isFirst), ...leases.filter((lease) => !isFirst(lease))];
}
