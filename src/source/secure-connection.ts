import type { X509Certificate } from 'node:crypto';
import net from 'node:net';
import tls from 'node:tls';
import { shownUrl } from '../console/shown-url.ts';
import { certificateAuthorities, certificatesOf, readCertificate } from './certificate-authorities.ts';
import {
  type Clock,
  certificateRefusal,
  isAboutCertificate,
  isValidAt,
  type Refusal,
  weaknessRefusal,
} from './certificate-refusal.ts';
import { isItsOwnIssuer, weaknessOf } from './certificate-strength.ts';
import type { KeyPair } from './client-certificate.ts';
import { networkError } from './network-error.ts';
import type { SourceOptions } from './source.ts';

/**
 * Speaks TLS with the server of an https URL, on a connection that `reach` makes. Nothing is sent before the certificate
 * of the server was accepted: by the TLS library, and by the rules for the strength of keys and signatures that it lacks.
 *
 * @param host of the URL, without brackets
 * @param silence how long the handshake may take, in ms
 * @throws RdpullError of the network or usage family; the reason of the signal
 */
export async function secureConnection(
  url: URL,
  host: string,
  reach: () => Promise<net.Socket>,
  options: Pick<SourceOptions, 'ca' | 'clientCertificate' | 'signal'>,
  silence: number,
  clock: Clock,
): Promise<tls.TLSSocket> {
  const shown = shownUrl(url.href);
  const { clientCertificate, signal } = options;
  const authorities = certificateAuthorities(options.ca);
  const handshake: Handshake = {
    host,
    authorities,
    // As for curl, what is trusted need not be a root: the certificate of an intermediate CA, or the server's own, will do.
    anchors: 'any',
    // It says who this machine is, to the server it was given for and to no other.
    clientCertificate: clientCertificate?.origin === url.origin ? clientCertificate : undefined,
    signal,
    silence,
  };
  try {
    const outcome = await secure(await reach(), handshake);
    if (outcome.kind === 'accepted') return requireStrong(shown, outcome.socket, authorities);
    const certificates = await certificatesShown(reach, handshake);
    const again = await withoutOutdated(outcome, certificates, reach, handshake, clock);
    if (again?.kind === 'accepted') return requireStrong(shown, again.socket, authorities);
    throw certificateRefusal(shown, outcome, certificates, clock);
  } catch (error) {
    signal.throwIfAborted();
    throw networkError(shown, error);
  }
}

interface Handshake {
  readonly host: string;
  /** PEM bundles of the certificates to trust. */
  readonly authorities: readonly string[];
  /** Whether those of them that somebody else has issued are trusted for themselves, or lead to a root only. */
  readonly anchors: 'any' | 'roots';
  /** Shown to a server that asks for one. */
  readonly clientCertificate: KeyPair | undefined;
  readonly signal: AbortSignal;
  readonly silence: number;
}

type Outcome =
  | { readonly kind: 'accepted'; readonly socket: tls.TLSSocket }
  | ({ readonly kind: 'refused' } & Refusal);

/**
 * Speaks TLS on a connection.
 *
 * @throws Error with a code of TLS or of the network; the reason of the signal
 */
async function secure(socket: net.Socket, handshake: Handshake): Promise<Outcome> {
  const secured = startTls(socket, handshake, { rejectUnauthorized: true });
  try {
    await established(secured, socket, handshake);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    // The library says so whatever it does not like about the certificate, under codes of which there is no complete list.
    const isRefused = secured.authorizationError ?? undefined;
    if (!(error instanceof Error) || (isRefused === undefined && !isAboutCertificate(code))) throw error;
    return { kind: 'refused', code, text: error.message };
  }
  if (secured.authorized) return { kind: 'accepted', socket: secured };
  secured.destroy();
  throw new Error(
    `the TLS library has accepted a server that it does not trust: ${secured.authorizationError}`,
  );
}

function startTls(
  socket: net.Socket,
  { host, authorities, anchors, clientCertificate }: Handshake,
  { rejectUnauthorized }: { readonly rejectUnauthorized: boolean },
): tls.TLSSocket {
  return tls.connect({
    socket,
    host,
    // Server Name Indication is for names alone (RFC 6066, section 3).
    servername: net.isIP(host) === 0 ? host : '',
    ca: [...authorities],
    allowPartialTrustChain: anchors === 'any',
    ...(clientCertificate !== undefined && { cert: clientCertificate.cert, key: clientCertificate.key }),
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
    // Said outright: NODE_TLS_REJECT_UNAUTHORIZED in the environment would turn the check off.
    rejectUnauthorized,
  });
}

/** Waits for the end of the handshake. When it fails, both sockets are closed. */
function established(
  secured: tls.TLSSocket,
  socket: net.Socket,
  { signal, silence }: Pick<Handshake, 'signal' | 'silence'>,
): Promise<void> {
  return new Promise((resolve, reject) => {
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
      settle();
      resolve();
    });
  });
}

/** @throws RdpullError tls-untrusted when the trust in the server rests on what can be forged */
function requireStrong(shown: string, socket: tls.TLSSocket, authorities: readonly string[]): tls.TLSSocket {
  const [own, ...others] = certificatesFrom(socket);
  if (own === undefined) throw new Error('the TLS library has accepted a server without a certificate');
  const weakness = weaknessOf(own, others, () => certificatesOf(authorities));
  if (weakness === undefined) return socket;
  socket.destroy();
  throw weaknessRefusal(shown, weakness, own);
}

/**
 * What a server shows that was refused, for the message: on another connection, over which nothing is sent, not even a
 * client certificate. None when it cannot be had.
 */
async function certificatesShown(
  reach: () => Promise<net.Socket>,
  handshake: Handshake,
): Promise<X509Certificate[]> {
  const stranger = { ...handshake, clientCertificate: undefined };
  let secured: tls.TLSSocket | undefined;
  try {
    const socket = await reach();
    secured = startTls(socket, stranger, { rejectUnauthorized: false });
    await established(secured, socket, stranger);
    return certificatesFrom(secured);
  } catch {
    // Why the server is refused is known already.
    handshake.signal.throwIfAborted();
    return [];
  } finally {
    secured?.destroy();
  }
}

/**
 * Tries again where a server sends two certificates of one CA, of which one has expired: the library takes the first and
 * looks at no other, unlike OpenSSL. When it is given the valid ones itself it prefers those. That does not make them
 * trusted: they have to lead to a root. One that would be a root itself is left out, because it would be believed.
 *
 * @returns undefined where that would change nothing
 */
async function withoutOutdated(
  { code }: Refusal,
  [, ...issuers]: readonly X509Certificate[],
  reach: () => Promise<net.Socket>,
  handshake: Handshake,
  { now }: Clock,
): Promise<Outcome | undefined> {
  const isOfTime = code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID';
  const valid = issuers.filter((each) => isValidAt(each, now) && !isItsOwnIssuer(each));
  if (!isOfTime || valid.length === 0 || issuers.every((each) => isValidAt(each, now))) return undefined;
  const authorities = [...handshake.authorities, ...valid.map(String)];
  return secure(await reach(), { ...handshake, authorities, anchors: 'roots' });
}

/** What a server showed, its own certificate first, and the anchor that the library found for the last of them. */
function certificatesFrom(socket: tls.TLSSocket): X509Certificate[] {
  const found = new Map<string, X509Certificate>();
  let each: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (each?.raw !== undefined) {
    const certificate = readCertificate(each.raw);
    if (certificate !== undefined) found.set(certificate.fingerprint256, certificate);
    each = each.issuerCertificate === each ? undefined : each.issuerCertificate;
  }
  return [...found.values()];
}
