import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { splitZone } from '../source/link-local.ts';
import { splitLogin } from '../source/login.ts';

/**
 * The host of a URL, as the URL of a disk has it: IPv6 without brackets, with its zone.
 *
 * @throws RdpullError bad-url
 */
export function nvmeServer(bootUrl: string): string {
  const { url: bare, zone } = splitZone(bootUrl);
  const { url } = splitLogin(bare);
  const { hostname } = URL.canParse(url) ? new URL(url) : { hostname: '' };
  if (hostname === '') {
    throw new RdpullError('bad-url', `${shownUrl(url)} names no server`, 'write the server: nvme+tcp://HOST');
  }
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  return zone === undefined ? host : `${host}%${zone}`;
}
