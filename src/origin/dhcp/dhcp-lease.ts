import { isIPv4 } from 'node:net';
import { isUrlText } from '../../request/url.ts';

/** What a DHCP client has left behind of what its server said (RFC 2131, RFC 2132). Nothing in here is to be trusted. */
export interface DhcpLease {
  /** The file or the socket that says it. */
  readonly source: string;
  /** The interface; undefined when the source does not say. */
  readonly interface: string | undefined;
  /** The field `file`, or option 67. */
  readonly bootFile: string | undefined;
  /** Option 17. */
  readonly rootPath: string | undefined;
  /** Option 66: a name or an address. */
  readonly tftpServer: string | undefined;
  /** The field `siaddr`: IPv4, as the four below. */
  readonly nextServer: string | undefined;
  /** The first of option 3. */
  readonly gateway: string | undefined;
  /** Option 54: who has given the lease. */
  readonly dhcpServer: string | undefined;
}

/** What a source has read, as it stands there. */
export type LeaseText = {
  readonly [Field in Exclude<keyof DhcpLease, 'source' | 'interface'>]?: string | undefined;
};

/** Longer than what fits into one option (255 bytes), which may be continued (RFC 3396). */
const LONGEST = 1024;

/** A host's name, as it may stand in a URL. */
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.?$/;

/** A lease of what is usable in a text; undefined when nothing is. What cannot be part of a URL counts as not said. */
export function dhcpLease(source: string, name: string | undefined, text: LeaseText): DhcpLease | undefined {
  const tftpServer = text.tftpServer ?? '';
  const fields = {
    bootFile: usable(text.bootFile),
    rootPath: usable(text.rootPath),
    tftpServer: HOST_NAME.test(tftpServer) ? tftpServer : undefined,
    nextServer: address(text.nextServer),
    gateway: address(text.gateway),
    dhcpServer: address(text.dhcpServer),
  };
  if (Object.values(fields).every((value) => value === undefined)) return undefined;
  return { source, interface: name, ...fields };
}

function usable(text: string | undefined): string | undefined {
  return text !== undefined && text !== '' && text.length <= LONGEST && isUrlText(text) ? text : undefined;
}

/** The first address of a list; 0.0.0.0 means none. */
function address(text: string | undefined): string | undefined {
  const [first = ''] = text?.trim().split(/[\s,;]+/) ?? [];
  return isIPv4(first) && first !== '0.0.0.0' ? first : undefined;
}
