import type { NetworkPlaceholder } from '../../request/placeholder.ts';
import { noValue } from '../machine-identity.ts';
import { defaultRoute } from './default-route.ts';
import { readDhcpLeases } from './dhcp-leases.ts';
import { describeLease, leaseMissing } from './dhcp-origin.ts';

/**
 * What a placeholder for an address stands for: the gateway of the default route, or of a lease; the server that has given the lease.
 *
 * @param root where run, tmp, proc and sys lie
 * @throws RdpullError dhcp-lease-missing when there is no lease (yet), bad-url when none says it
 */
export async function addressOf(placeholder: NetworkPlaceholder, root = ''): Promise<string> {
  const route = placeholder === 'gateway' ? defaultRoute(root)?.gateway : undefined;
  if (route !== undefined) return route;
  const leases = await readDhcpLeases(() => undefined, root);
  const field = placeholder === 'gateway' ? 'gateway' : 'dhcpServer';
  const found = leases.find((lease) => lease[field] !== undefined)?.[field];
  if (found !== undefined) return found;
  if (leases.length === 0) throw leaseMissing(`{${placeholder}} in the URL`);
  const missing =
    placeholder === 'gateway'
      ? 'there is no default route (IPv4), and no DHCP lease has a gateway'
      : 'no DHCP lease names its server';
  throw noValue(placeholder, `${missing}: ${leases.map(describeLease).join('; ')}`);
}
