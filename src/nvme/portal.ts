import { BlockList, isIP } from 'node:net';
import { formatHost, type NvmeUrl } from '../request/nvme-url.ts';

/** Where a server listens. */
export interface Portal {
  /** An address, IPv6 perhaps with a zone. */
  readonly address: string;
  readonly port: number;
}

/** Where targets listen: for subsystems, and for who asks what there is (IANA: nvme, nvme-disc). */
export const NVME_PORT = 4420;
const DISCOVERY_PORT = 8009;

/** The ports that are asked what there is. */
export function discoveryPorts({ port }: Pick<NvmeUrl, 'port'>): readonly number[] {
  return port === undefined ? [NVME_PORT, DISCOVERY_PORT] : [port];
}

/** What to try where nobody listens. */
export const NOBODY_LISTENS =
  'check that the target runs (rdpull serve --nvme, mkosi serve, systemd-storagetm), and the port: usual are 4420 and 8009';

/** `10.0.0.1:4420` */
export function shownPortal({ address, port }: Portal): string {
  return `${formatHost(address).replace('%25', '%')}:${port}`;
}

/** The address as everybody writes it who follows RFC 5952: the kernel keeps what it was given, and compares that. */
export function canonicalAddress(address: string): string {
  const [bare = '', zone] = address.split('%');
  const canonical = isIP(bare) === 6 ? new URL(`http://[${bare}]`).hostname.slice(1, -1) : bare;
  return zone === undefined ? canonical : `${canonical}%${zone}`;
}

/** Addresses that lead to the machine that has them, or to no single one: RFC 6890. */
const NOBODY_ELSE = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['224.0.0.0', 3],
] as const)
  NOBODY_ELSE.addSubnet(network, prefix);
for (const [network, prefix] of [
  ['::', 127],
  ['ff00::', 8],
] as const)
  NOBODY_ELSE.addSubnet(network, prefix, 'ipv6');

/**
 * Where a server says that another one is, or itself.
 *
 * @param asked who says so: an address that holds on one link alone (fe80::1) is meant on the same
 * @returns undefined when that leads to nobody else
 */
export function portalOf(asked: Portal, { address, port }: Portal): Portal | undefined {
  const canonical = canonicalAddress(address);
  const family = isIP(canonical);
  if (family === 0 || NOBODY_ELSE.check(canonical, family === 6 ? 'ipv6' : 'ipv4')) return undefined;
  const [, zone] = asked.address.split('%');
  const isOnLink = /^fe[89ab]/.test(canonical) && zone !== undefined;
  return { address: isOnLink ? `${canonical}%${zone}` : canonical, port };
}
