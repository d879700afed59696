import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { shownUrl } from '../console/shown-url.ts';
import { certificateAuthorities } from './certificate-authorities.ts';
import { certificatesOf, wouldBeTrusted } from './certificate-path.ts';
import { type Clock, certificateRefusal, iso, refusalCode } from './certificate-refusal.ts';
import type { KeyPair } from './client-certificate.ts';
import { networkError } from './network-error.ts';
import type { SourceOptions } from './source.ts';

/** Certificates of a server that are looked at, at most. */
const CERTIFICATES_MAX = 10;

/**
 * Speaks TLS with the server of an https URL, on a connection that `reach` makes.
 *
 * Where a certificate is only refused because the clock of this machine is before the build of this executable, and so
 * certainly wrong, it is judged by the time of the build instead, with a warning. Time is never taken from the server.
 *
 * @param host of the URL, without brackets
 * @param silence how long the handshake may take, in ms
 * @throws RdpullError of the network or usage family; the reason of the signal
 */
export async function secureConnection(
  url: URL,
  host: string,
  reach: () => Promise<net.Socket>,
  options: Pick<SourceOptions, 'ca' | 'clientCertificate' | 'signal' | 'warn'>,
  silence: number,
  clock: Clock,
): Promise<tls.TLSSocket> {
  const shown = shownUrl(url.href);
  const { clientCertificate, signal } = options;
  const authorities = certificateAuthorities(options.ca);
  const handshake: Handshake = {
    host,
    authorities,
    // It says who this machine is, to the server it was given for and to no other.
    clientCertificate: clientCertificate?.origin === url.origin ? clientCertificate : undefined,
    signal,
    silence,
  };
  try {
    return await secure(await reach(), handshake, { refuse: true });
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
        return socket;
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
