import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { isFileUrl } from '../request/url.ts';
import type { KeyPair } from '../source/client-certificate.ts';
import type { ProxyRules } from '../source/proxy.ts';
import type { Secret } from '../source/server-login.ts';
import type { CommandLine, OptionSpec } from './command.ts';

/** How servers are reached, whom to believe, and what to show them. */
export interface ServerAccess {
  /** PEM bundles to trust instead of the system's. */
  readonly ca: readonly string[];
  readonly proxy: ProxyRules;
  readonly identity: Identity;
}

/** What there is to show, before it is known to whom. */
export interface Identity {
  readonly clientCertificate: KeyPair | undefined;
  readonly secrets: readonly Secret[];
}

/** The options for {@link serverAccess}. */
export const SERVER_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'ca',
    value: 'FILE',
    repeatable: true,
    help: 'trust the certificates (PEM) in FILE for https, and not the system bundle',
  },
  {
    name: 'cert',
    value: 'FILE',
    help: 'show the client certificate (PEM) in FILE to the server, if it asks for one',
  },
  {
    name: 'key',
    value: 'FILE',
    help: 'the private key (PEM) of that certificate (default: in the same file)',
  },
  {
    name: 'bearer',
    value: 'FILE',
    help: 'send the token in FILE to the server, over https only (default: the credential rdpull.bearer)',
  },
  {
    name: 'login',
    value: 'FILE',
    help: 'send USER:PASSWORD in FILE to the server, over https only (default: the credential rdpull.login)',
  },
  {
    name: 'proxy',
    value: 'URL',
    completes: ['http://'],
    mayBeEmpty: true,
    help: 'ask through this HTTP proxy; empty: through none (default: $http_proxy, $https_proxy, $all_proxy)',
  },
];

/**
 * Refuses options for servers where there is none. (Those that open one are refused where it is seen that they are not
 * sent: they are for https.)
 *
 * @param urls all that will be asked
 * @throws RdpullError bad-option
 */
export function requireServers(line: CommandLine, urls: readonly string[]): void {
  const [url = ''] = urls;
  if (!urls.every(isFileUrl)) return;
  const option = line.values('limit').some((text) => text.startsWith('redirects='))
    ? 'limit=redirects'
    : ['ca', 'proxy'].find((name) => line.has(name));
  if (option === undefined) return;
  throw new RdpullError(
    'bad-option',
    `--${option}= is for servers, and none is asked: ${shownUrl(url)} lies on this machine`,
    'leave it out',
  );
}

/**
 * Reads what the options and the environment say of servers, before any of them is asked.
 *
 * @param urls all that will be asked, where that is known: files need no credentials, which a TPM may have to decrypt
 * @throws RdpullError bad-option, credential-unusable
 */
export async function serverAccess(line: CommandLine, urls?: readonly string[]): Promise<ServerAccess> {
  const cert = line.value('cert');
  const key = line.value('key');
  if (key !== undefined && cert === undefined) {
    throw new RdpullError(
      'bad-option',
      '--key=FILE is for a certificate, and none was given',
      'add --cert=FILE',
    );
  }
  const bearer = line.value('bearer');
  const login = line.value('login');
  if (bearer !== undefined && login !== undefined) {
    throw new RdpullError(
      'bad-option',
      '--bearer=FILE and --login=FILE exclude each other: a request has one of them',
      'leave out one of them',
    );
  }
  const proxy = line.value('proxy');
  if (proxy !== undefined && proxy !== '') {
    // Only here, because it loads the sockets: a tenth of a pull from a file.
    const { parseProxy } = await import('../source/proxy.ts');
    parseProxy(proxy, '--proxy=');
  }
  const needsCredentials = (bearer ?? login) !== undefined || urls?.every(isFileUrl) !== true;
  return {
    ca: line.values('ca'),
    proxy: { option: proxy, environment: process.env },
    identity: {
      clientCertificate: cert === undefined ? undefined : await readKeyPair(cert, key),
      secrets: needsCredentials ? await readCredentials({ bearer, login }) : [],
    },
  };
}

async function readCredentials(given: {
  readonly bearer: string | undefined;
  readonly login: string | undefined;
}): Promise<readonly Secret[]> {
  const { readSecrets } = await import('../source/server-login.ts');
  return readSecrets(given, process.env);
}

async function readKeyPair(cert: string, key: string | undefined): Promise<KeyPair> {
  // The TLS library is large, and few have such a certificate.
  const { readClientCertificate } = await import('../source/client-certificate.ts');
  return readClientCertificate(cert, key);
}
