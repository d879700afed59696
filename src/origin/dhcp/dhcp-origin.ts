import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { quotedUrl } from '../../console/shown-url.ts';
import { isHttpUrl } from '../../request/url.ts';
import type { DhcpLease } from './dhcp-lease.ts';

/** What of a lease says where this machine is to boot from. */
export type DhcpOriginField = 'boot file name' | 'root path' | 'TFTP server' | 'next server';

/** Where DHCP says that this machine is to boot from. */
export interface DhcpOrigin {
  /** A valid HTTP or HTTPS URL; of a server alone that of its root directory. */
  readonly url: string;
  /** Files lie in a URL that ends in a slash, and beside another one. */
  readonly kind: 'directory' | 'file';
  /** The file or the socket of the lease. */
  readonly source: string;
  readonly field: DhcpOriginField;
}

/** Best first: who wrote a URL has meant it, whatever interface it came by; a server may be there for something else. */
const FIELDS: readonly (readonly [DhcpOriginField, (lease: DhcpLease) => string | undefined])[] = [
  ['boot file name', ({ bootFile }) => httpUrl(bootFile)],
  ['root path', ({ rootPath }) => httpUrl(rootPath)],
  ['TFTP server', ({ tftpServer }) => serverUrl(tftpServer)],
  ['next server', ({ nextServer }) => serverUrl(nextServer)],
];

/** The boot URL in leases, of which the first that has it counts; undefined when none has one. */
export function findDhcpOrigin(leases: readonly DhcpLease[]): DhcpOrigin | undefined {
  for (const [field, urlIn] of FIELDS) {
    for (const lease of leases) {
      const url = urlIn(lease);
      if (url !== undefined)
        return {
          url,
          kind: /^[^?#]*\/(?:[?#]|$)/.test(url) ? 'directory' : 'file',
          source: lease.source,
          field,
        };
    }
  }
  return undefined;
}

/**
 * The boot URL in leases.
 *
 * @throws RdpullError dhcp-lease-missing when there is none yet, dhcp-url-missing when none says where to boot from
 */
export function requireDhcpOrigin(leases: readonly DhcpLease[]): DhcpOrigin {
  const origin = findDhcpOrigin(leases);
  if (origin !== undefined) return origin;
  if (leases.length === 0) throw leaseMissing('dhcporigin');
  throw new RdpullError(
    'dhcp-url-missing',
    `dhcporigin: no DHCP lease says where to boot from: ${leases.map(describeLease).join('; ')}`,
    'have the DHCP server send a boot file name or a root path that is an http URL, or a next server; or write the whole URL in place of dhcporigin',
  );
}

/** The error for a machine without a lease; `subject` is what needs one. */
export function leaseMissing(subject: string): RdpullError {
  return new RdpullError(
    'dhcp-lease-missing',
    `${subject}: no DHCP client of this machine (systemd-networkd, NetworkManager, dracut, the kernel) has left a lease`,
    'bring the network up by DHCP (ip=dhcp), or write the whole URL',
  );
}

/** What a lease says, in words: `/run/net-eth0.conf (eth0) has the next server 10.0.0.1`. */
export function describeLease(lease: DhcpLease): string {
  const { source, interface: name, bootFile, rootPath, tftpServer, nextServer, gateway, dhcpServer } = lease;
  const said = [
    ...(bootFile === undefined ? [] : [`the boot file name ${quotedUrl(bootFile)}`]),
    ...(rootPath === undefined ? [] : [`the root path ${quotedUrl(rootPath)}`]),
    ...(tftpServer === undefined ? [] : [`the TFTP server ${tftpServer}`]),
    ...(nextServer === undefined ? [] : [`the next server ${nextServer}`]),
    ...(gateway === undefined ? [] : [`the gateway ${gateway}`]),
    ...(dhcpServer === undefined ? [] : [`the DHCP server ${dhcpServer}`]),
  ];
  return `${printable(source)}${name === undefined ? '' : ` (${printable(name)})`} has ${said.join(', ')}`;
}

function httpUrl(text: string | undefined): string | undefined {
  return text !== undefined && isHttpUrl(text) && URL.canParse(text) ? text : undefined;
}

function serverUrl(host: string | undefined): string | undefined {
  return host === undefined ? undefined : `http://${host}/`;
}
