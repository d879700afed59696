import net from 'node:net';
import { buildTime } from '../build-time.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { Clock } from './certificate-refusal.ts';
import { dial } from './dial.ts';
import { networkError, proxyError } from './network-error.ts';
import { type HttpProxy, proxyFor } from './proxy.ts';
import type { SourceOptions } from './source.ts';
import { openTunnel } from './tunnel.ts';

/** A connection on which a server can be asked over HTTP/1.1. */
export interface Connection {
  readonly socket: net.Socket;
  /** A proxy that wants to be asked for the whole URL; undefined when the connection leads to the server itself. */
  readonly proxy: HttpProxy | undefined;
}

/** The proxy that wants to be asked for the whole URL: for http, if the rules name one. https goes through a tunnel. */
export function proxyToAsk(url: URL, { proxy }: Pick<SourceOptions, 'proxy'>): HttpProxy | undefined {
  return proxy === undefined || url.protocol !== 'http:' ? undefined : proxyFor(url, proxy);
}

type Reach = Pick<SourceOptions, 'ca' | 'clientCertificate' | 'proxy' | 'zone' | 'signal'>;

/**
 * Opens a connection to the server of a URL: through a proxy if the rules name one, and for https with a TLS library
 * that has checked who answers. Nothing is known of HTTP clients here.
 *
 * @param silence how long anybody may take to answer, in ms
 * @throws RdpullError of the network or usage family; the reason of the signal
 */
export async function connect(
  url: URL,
  options: Reach,
  silence: number,
  clock: Clock = { now: new Date(), built: buildTime },
): Promise<Connection> {
  const proxy = options.proxy === undefined ? undefined : proxyFor(url, options.proxy);
  const reach = () =>
    proxy === undefined ? reachServer(url, options, silence) : reachProxy(url, proxy, options, silence);
  if (url.protocol === 'http:') return { socket: await reach(), proxy };

  // TLS takes time to load: not for plain http.
  const { secureConnection } = await import('./secure-connection.ts');
  return {
    socket: await secureConnection(url, hostOf(url), reach, options, silence, clock),
    proxy: undefined,
  };
}

async function reachServer(
  url: URL,
  { zone, signal }: Pick<Reach, 'zone' | 'signal'>,
  silence: number,
): Promise<net.Socket> {
  const host = hostOf(url);
  // fe80::/10: each network has these addresses, and the zone says which network is meant (RFC 4007).
  const isLinkLocal = net.isIPv6(host) && /^fe[89ab]/i.test(host);
  if (isLinkLocal && zone === undefined) {
    throw new RdpullError(
      'bad-url',
      `${shownUrl(url.href)}: a link-local address means nothing without the interface it is behind`,
      `name it, as ${url.protocol}//[${host}%25eth0]/FILE`,
    );
  }
  try {
    return await dial(isLinkLocal ? `${host}%${zone}` : host, portOf(url), signal, silence);
  } catch (error) {
    signal.throwIfAborted();
    throw networkError(shownUrl(url.href), error);
  }
}

async function reachProxy(
  url: URL,
  proxy: HttpProxy,
  { signal }: Pick<Reach, 'signal'>,
  silence: number,
): Promise<net.Socket> {
  const shown = shownUrl(url.href);
  let socket: net.Socket | undefined;
  try {
    socket = await dial(proxy.host, proxy.port, signal, silence);
    if (url.protocol === 'https:') {
      await openTunnel(socket, `${url.hostname}:${portOf(url)}`, proxy, signal, silence);
    }
    return socket;
  } catch (error) {
    socket?.destroy();
    signal.throwIfAborted();
    throw proxyError(shown, proxy.shown, error);
  }
}

/** The host of a URL without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function portOf({ protocol, port }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}
