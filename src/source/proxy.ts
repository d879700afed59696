import net from 'node:net';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownProxy, shownUrl } from '../console/shown-url.ts';
import { splitLogin } from './login.ts';

/** What decides which proxy a URL is asked for through. */
export interface ProxyRules {
  /** The value of `--proxy=`; empty for none at all, undefined to ask the environment. */
  readonly option: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** An HTTP proxy. */
export interface HttpProxy {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** Its URL as it may be printed. */
  readonly shown: string;
  /** The value of the Proxy-Authorization header; undefined when its URL holds no login. */
  readonly authorization: string | undefined;
}

/** Where curl expects a proxy whose URL names no port. */
const DEFAULT_PORT = 1080;

/**
 * The proxy for a URL: `--proxy=`, else of the environment `https_proxy` or `http_proxy` by the scheme, else `all_proxy`;
 * none for the hosts of `no_proxy`. As with curl, but for one thing: each name counts in upper case, too, `HTTP_PROXY`
 * included, unless this is a CGI program, where a header of the request would be in there ("httpoxy").
 *
 * @throws RdpullError bad-option when the value is no URL of an HTTP proxy
 */
export function proxyFor(url: URL, { option, environment }: ProxyRules): HttpProxy | undefined {
  if (option === '') return undefined;
  if (isExempt(url, variable(environment, 'no_proxy')?.value ?? '')) return undefined;
  if (option !== undefined) return parseProxy(option, '--proxy=');
  const found =
    variable(environment, url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') ??
    variable(environment, 'all_proxy');
  return found === undefined ? undefined : parseProxy(found.value, `$${found.name}`);
}

/** A variable that says something, in lower or upper case. */
function variable(
  environment: ProxyRules['environment'],
  lower: string,
): { readonly name: string; readonly value: string } | undefined {
  const upper = lower.toUpperCase();
  const isCgi = environment['GATEWAY_INTERFACE'] !== undefined || environment['REQUEST_METHOD'] !== undefined;
  for (const name of lower === 'http_proxy' && isCgi ? [lower] : [lower, upper]) {
    const value = environment[name];
    if (value !== undefined && value !== '') return { name, value };
  }
  return undefined;
}

/**
 * Reads the URL of a proxy; without a scheme it is http.
 *
 * @param from where it stands, for the message
 * @throws RdpullError bad-option
 */
export function parseProxy(text: string, from: string): HttpProxy {
  const { url: bare, login } = splitLogin(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  const url = URL.canParse(bare) ? new URL(bare) : undefined;
  if (
    url === undefined ||
    url.protocol !== 'http:' ||
    url.pathname !== '/' ||
    url.search !== '' ||
    url.username !== ''
  ) {
    throw new RdpullError(
      'bad-option',
      `${from} does not name an HTTP proxy: ${shownProxy(text)}`,
      'write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT; proxies that speak https or SOCKS are not supported',
    );
  }
  // URL drops a port 80 that was written: it is not the same as none here.
  const named = /:(\d+)\/?$/.exec(bare)?.[1];
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: named === undefined ? DEFAULT_PORT : Number(named),
    shown: shownUrl(bare.replace(/\/$/, '')),
    authorization: login?.authorization,
  };
}

/**
 * Whether a host is reached without a proxy: `*`, or a list of names (which stand for the hosts below them, too), IP
 * addresses and networks (10.0.0.0/8), between commas or spaces.
 */
function isExempt({ hostname }: URL, list: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => entry === '*' || (net.isIP(host) === 0 ? isBelow(host, entry) : isWithin(host, entry)));
}

function isBelow(host: string, entry: string): boolean {
  const domain = entry.replace(/^\./, '').replace(/\.$/, '');
  return host === domain || host.endsWith(`.${domain}`);
}

function isWithin(address: string, entry: string): boolean {
  const [network = '', length] = entry.replace(/^\[(.*)\]$/, '$1').split('/');
  const family = net.isIP(network);
  if (family === 0 || family !== net.isIP(address)) return false;
  const bits = family === 6 ? 128 : 32;
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  // A network of no length is none: only * means all.
  if (!(prefix >= 0 && prefix <= bits)) return false;
  const type = family === 6 ? 'ipv6' : 'ipv4';
  const networks = new net.BlockList();
  networks.addSubnet(network, prefix, type);
  return networks.check(address, type);
}

/**
 * What the answer of a proxy means that did not ask the server.
 *
 * @param answer the status and the words behind it
 */
export function proxyRefusal(
  { shown }: HttpProxy,
  status: number,
  answer: string,
  authority: string,
): RdpullError {
  const said = printable(answer);
  // tinyproxy says 401 to a wrong login.
  if (status === 407 || status === 401) {
    return new RdpullError(
      'proxy-refused',
      `the proxy ${shown} wants a login: it answers ${said}`,
      'put the right one into its URL, as http://USER:PASSWORD@HOST:PORT',
    );
  }
  if (status >= 500) {
    return new RdpullError(
      'http-server-error',
      `the proxy ${shown} cannot reach ${authority}: it answers ${said}`,
      'check the name and the port of the server, and look at the log of the proxy',
    );
  }
  return new RdpullError(
    'proxy-refused',
    `the proxy ${shown} refuses to connect to ${authority}: it answers ${said}`,
    'look at the rules of the proxy; a server that is reached without it belongs into NO_PROXY',
  );
}
