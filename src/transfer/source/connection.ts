import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { RdpullError } from '../../console/rdpull-error.ts';
import { shownUrl } from '../../console/shown-url.ts';
import { buildTime } from './build-time.ts';
import { certificateAuthorities } from './certificate-authorities.ts';
import { certificatesOf, wouldBeTrusted } from './certificate-path.ts';
import { type Clock, certificateRefusal, iso, refusalCode } from './certificate-refusal.ts';
import type { KeyPair } from './client-certificate.ts';
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

/** Certificates of a server that are looked at, at most. */
const CERTIFICATES_MAX = 10;

type Reach = Pick<SourceOptions, 'ca' | 'clientCertificate' | 'proxy' | 'zone' | 'signal' | 'warn'>;

/**
 * Opens a connection to the server of a URL: through a proxy if the rules name one, and for https with a TLS library
 * that has checked who answers. Nothing is known of HTTP clients here.
 *
 * Where a certificate is only refused because the clock of this machine is before the build of this executable, and so
 * certainly wrong, it is judged by the time of the build instead, with a warning. Time is never taken from the server.
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
  const shown = shownUrl(url.href);
  const proxy = options.proxy === undefined ? undefined : proxyFor(url, options.proxy);
  const reach = () =>
    proxy === undefined ? reachServer(url, options, silence) : reachProxy(url, proxy, options, silence);
  if (url.protocol === 'http:') return { socket: await reach(), proxy };

  const { clientCertificate, signal } = options;
  const authorities = certificateAuthorities(options.ca);
  const handshake: Handshake = {
    host: hostOf(url),
    authorities,
    // It says who this machine is, to the server it was given for and to no other.
    clientCertificate: clientCertificate?.origin === url.origin ? clientCertificate : undefined,
    signal,
    silence,
  };
  try {
    return { socket: await secure(await reach(), handshake, { refuse: true }), proxy: undefined };
  } catch (error) {
    signal.throwIfAborted();
    const code = refusalCode(error);
    if (code === undefined) throw networkError(shown, error);
    // Once more, only to see what the server shows. Nothing is sent before that was judged.
    const socket = await secure(await reach(), handshake, { refuse: false }).catch(() => undefined);
    const certificates = socket === undefined ? [] : certificatesFrom(socket);
    if (socket !== undefined && code === 'CERT_NOT_YET_VALID' && isBeforeBuild(clock)) {
      if (wouldBeTrusted({ certificates, host: handshake.host }, certificatesOf(authorities), clock.built)) {
        options.warn?.(
          `the clock of this machine says ${iso(clock.now)}, but this rdpull was made on ${iso(clock.built)}: the certificates of servers are judged by that time`,
        );
        return { socket, proxy: undefined };
      }
    }
    socket?.destroy();
    signal.throwIfAborted();
    throw certificateRefusal(shown, code, certificates, clock);
  }
}

function isBeforeBuild(clock: Clock): clock is Clock & { readonly built: Date } {
  return clock.built !== undefined && clock.now < clock.built;
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

interface Handshake {
  readonly host: string;
  /** PEM bundles of the certificates to trust. */
  readonly authorities: readonly string[];
  /** Shown to a server that asks for one. */
  readonly clientCertificate: KeyPair | undefined;
  readonly signal: AbortSignal;
  readonly silence: number;
}

/**
 * Speaks TLS on a connection.
 *
 * @param refuse whether a server that cannot be trusted is an error; if not, the caller has to judge its certificates
 * @throws Error with a code of TLS; the reason of the signal
 */
function secure(
  socket: net.Socket,
  { host, authorities, clientCertificate, signal, silence }: Handshake,
  { refuse }: { readonly refuse: boolean },
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      host,
      // Server Name Indication is for names alone (RFC 6066, section 3).
      servername: net.isIP(host) === 0 ? host : '',
      ca: [...authorities],
      ...(clientCertificate !== undefined && { cert: clientCertificate.cert, key: clientCertificate.key }),
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
      // Said outright: NODE_TLS_REJECT_UNAUTHORIZED in the environment would turn the check off.
      rejectUnauthorized: refuse,
    });
    const limit = setTimeout(
      () => fail(Object.assign(new Error('no TLS handshake'), { code: 'ETIMEDOUT' })),
      silence,
    );
    const aborted = () => fail(signal.reason);
    const closed = () => fail(Object.assign(new Error('closed'), { code: 'RDPULL_CLOSED' }));
    function settle(): void {
      clearTimeout(limit);
      signal.removeEventListener('abort', aborted);
      secured.off('error', fail).off('close', closed);
      // What comes now is for the HTTP client, or for nobody.
      secured.on('error', () => undefined);
    }
    function fail(error: unknown): void {
      settle();
      secured.destroy();
      socket.destroy();
      reject(error);
    }
    signal.addEventListener('abort', aborted);
    secured.once('error', fail).once('close', closed);
    secured.once('secureConnect', () => {
      if (refuse && !secured.authorized) fail(secured.authorizationError);
      else {
        settle();
        resolve(secured);
      }
    });
  });
}

/** What a server showed, its own certificate first. */
function certificatesFrom(socket: tls.TLSSocket): X509Certificate[] {
  const found = new Map<string, X509Certificate>();
  let each: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (each?.raw !== undefined && !found.has(each.fingerprint256) && found.size < CERTIFICATES_MAX) {
    found.set(each.fingerprint256, new X509Certificate(each.raw));
    each = each.issuerCertificate;
  }
  return [...found.values()];
}

/** The host of a URL without brackets. */
function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function portOf({ protocol, port }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}
