import { type ErrorCode, RdpullError, reasonOf } from '../console/rdpull-error.ts';

interface Diagnosis {
  readonly code: ErrorCode;
  /** Why, as the end of "URL: …". */
  readonly reason: string;
  readonly hint: string;
}

const HINT_NETWORK = 'check the cable, the address (ip addr) and the route (ip route), then try again';
const HINT_RETRY = 'try again; if it happens again at the same place, look at the log of the server';

const OLD_TLS: Diagnosis = {
  code: 'tls-failed',
  reason: 'the server speaks no TLS of version 1.2 or later',
  hint: 'let the web server speak TLS 1.2 or 1.3: older ones are not safe',
};
const CLIENT_CERTIFICATE: Diagnosis = {
  code: 'tls-failed',
  reason: 'the server refuses the TLS handshake',
  hint: 'if it wants a client certificate, name one that it accepts with --cert=FILE and --key=FILE',
};

const UNKNOWN_HOST: Diagnosis = {
  code: 'host-unknown',
  reason: 'the name of the host cannot be resolved',
  hint: 'check the name, and the name server in /etc/resolv.conf; an IP address in the URL needs neither',
};
const NO_NAME_SERVER: Diagnosis = {
  code: 'host-unknown',
  reason: 'the name server does not answer',
  hint: 'check the network and /etc/resolv.conf; an IP address in the URL needs no name server',
};
const FORBIDDEN: Diagnosis = {
  code: 'host-unreachable',
  reason: 'this machine itself forbids the connection',
  hint: 'look at its firewall (nft list ruleset) and at what confines this process (SELinux, AppArmor, systemd)',
};
const NO_ADDRESS: Diagnosis = {
  code: 'host-unreachable',
  reason: 'this machine has no address of that kind',
  hint: 'look at ip addr: IPv6 may be switched off here, or have no address yet; then try again',
};

/**
 * What is the network's fault, or the server's: the codes of getaddrinfo(3), connect(2), OpenSSL and our own exchange
 * (http1/http-fault.ts). The list is closed: an error that is not here, and not of TLS, is a defect of rdpull.
 */
const DIAGNOSES: Readonly<Record<string, Diagnosis>> = {
  ENOTFOUND: UNKNOWN_HOST,
  ENODATA: UNKNOWN_HOST,
  EAI_AGAIN: NO_NAME_SERVER,
  EAI_FAIL: NO_NAME_SERVER,
  ESERVFAIL: NO_NAME_SERVER,
  EREFUSED: NO_NAME_SERVER,
  ETIMEOUT: NO_NAME_SERVER,
  ECONNREFUSED: {
    code: 'connection-refused',
    reason: 'the connection was refused',
    hint: 'check that the web server runs, that the port is right, and that this machine has a route to it',
  },
  EHOSTUNREACH: { code: 'host-unreachable', reason: 'there is no route to the host', hint: HINT_NETWORK },
  EHOSTDOWN: {
    code: 'host-unreachable',
    reason: 'the host does not answer in its network',
    hint: HINT_NETWORK,
  },
  ENETUNREACH: { code: 'host-unreachable', reason: 'the network is unreachable', hint: HINT_NETWORK },
  ENETDOWN: { code: 'host-unreachable', reason: 'the network is down', hint: HINT_NETWORK },
  EADDRNOTAVAIL: NO_ADDRESS,
  EAFNOSUPPORT: NO_ADDRESS,
  EACCES: FORBIDDEN,
  EPERM: FORBIDDEN,
  ETIMEDOUT: { code: 'connection-timeout', reason: 'the host does not answer', hint: HINT_NETWORK },
  ECONNRESET: { code: 'connection-lost', reason: 'the connection was reset', hint: HINT_RETRY },
  ECONNABORTED: { code: 'connection-lost', reason: 'the connection was given up', hint: HINT_RETRY },
  ENETRESET: { code: 'connection-lost', reason: 'the connection was reset', hint: HINT_RETRY },
  EPIPE: { code: 'connection-lost', reason: 'the connection was closed', hint: HINT_RETRY },
  RDPULL_CLOSED: {
    code: 'connection-lost',
    reason: 'the server closed the connection too early',
    hint: HINT_RETRY,
  },
  RDPULL_SILENT_HEAD: {
    code: 'transfer-stalled',
    reason: 'the server does not answer',
    hint: HINT_RETRY,
  },
  RDPULL_SILENT_BODY: { code: 'transfer-stalled', reason: 'the server stopped sending', hint: HINT_RETRY },
  RDPULL_LONG_HEAD: {
    code: 'http-protocol',
    reason: 'the head of the answer is longer than 16 KiB',
    hint: 'check that the URL points at a web server',
  },
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: OLD_TLS,
  ERR_SSL_UNSUPPORTED_PROTOCOL: OLD_TLS,
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: CLIENT_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: CLIENT_CERTIFICATE,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: CLIENT_CERTIFICATE,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: CLIENT_CERTIFICATE,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: CLIENT_CERTIFICATE,
  ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED: CLIENT_CERTIFICATE,
  RDPULL_NO_ANSWER: {
    code: 'connection-lost',
    reason: 'the server closed the connection instead of an answer',
    hint: 'look at the log of the server; if it wants a client certificate, name one that it accepts with --cert=FILE and --key=FILE',
  },
};

/**
 * What a failed request means, for a person. Only what is known to be the network is called so: anything else would be
 * tried again for minutes, and is a defect.
 *
 * @param shown the URL as it may be printed
 */
export function networkError(shown: string, error: unknown): RdpullError {
  if (error instanceof RdpullError) return error;
  const diagnosis = diagnose(error);
  if (diagnosis === undefined) return defect(shown, error);
  const { code, reason, hint } = diagnosis;
  return new RdpullError(code, `${shown}: ${reason}`, hint, { cause: error });
}

/**
 * What it means that a proxy could not be reached.
 *
 * @param shown the URL that was asked for, as it may be printed
 * @param proxy the URL of the proxy, likewise
 */
export function proxyError(shown: string, proxy: string, error: unknown): RdpullError {
  if (error instanceof RdpullError)
    return new RdpullError(error.code, `${shown}: ${error.message}`, error.hint);
  const diagnosis = diagnose(error);
  if (diagnosis === undefined) return defect(shown, error);
  const { code, reason } = diagnosis;
  return new RdpullError(
    code,
    `${shown}: the proxy ${proxy} cannot be reached: ${reason}`,
    'check the host and the port of the proxy; --proxy= (with nothing behind it) does without one',
    { cause: error },
  );
}

/** undefined for what is neither the network's fault nor the server's. */
function diagnose(error: unknown): Diagnosis | undefined {
  const { code, message } = described(error);
  const known = DIAGNOSES[code];
  if (known !== undefined) return known;
  if (code === 'RDPULL_NOT_HTTP') {
    return {
      code: 'http-protocol',
      reason: `the answer is not HTTP (${message})`,
      hint: 'check that the URL points at a web server, and its port',
    };
  }
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code === 'EPROTO') {
    return {
      code: 'tls-failed',
      reason: `no secure connection could be made (${code})`,
      hint: 'check that the port speaks https: a server that speaks only http needs a URL with http://',
    };
  }
  return undefined;
}

function defect(shown: string, error: unknown): RdpullError {
  return RdpullError.from(new Error(`${shown}: ${reasonOf(error)}`, { cause: error }));
}

function described(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error ? String(error.code) : '';
  // Several addresses of one host were tried: the first failure speaks for all.
  if (code === '' && error instanceof AggregateError) return described(error.errors[0]);
  return { code, message: error.message };
}
