import { isIP } from 'node:net';
import { networkError } from '../source/network-error.ts';
import { canonicalAddress } from './portal.ts';

/**
 * The addresses of a server: the kernel takes no names.
 *
 * @param host a name, or an address, perhaps with a zone
 * @throws RdpullError host-unknown
 */
export async function resolveHost(host: string): Promise<readonly string[]> {
  const [address = ''] = host.split('%');
  if (isIP(address) !== 0) return [canonicalAddress(host)];
  const { lookup } = await import('node:dns/promises');
  try {
    const found = await lookup(host, { all: true });
    return [...new Set(found.map((each) => canonicalAddress(each.address)))];
  } catch (error) {
    throw networkError(host, error);
  }
}
