import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { readNamedFile } from '../kernel/named-file.ts';
import { isSystemError, reasonWithoutPath } from '../kernel/system-error.ts';
import { decryptCredential, ENCRYPTED_STORES } from '../request/encrypted-credential.ts';
import { type Login, splitLogin } from './login.ts';

/** Where systemd puts the credentials of the whole system (system-credentials(7)). */
const SYSTEM_CREDENTIALS = '/run/credentials/@system';

/** Longer ones no server would take, in bytes. */
const SECRET_MAX = 8 * 1024;

/** What a secret is: a token (RFC 6750), or a user and a password (RFC 7617). */
type SecretKind = 'bearer' | 'login';

/** What opens a server, from a file or a credential. */
export interface Secret {
  /** `--bearer=` or `the credential rdpull.bearer`: never what is in there. */
  readonly from: string;
  /** Whether somebody asked for it by an option, and so for this pull. */
  readonly isAsked: boolean;
  /** The only server it is for; undefined: the one that is asked, whichever that is. */
  readonly origin: string | undefined;
  readonly authorization: string;
}

/** The files that options name. */
export interface SecretFiles {
  readonly bearer: string | undefined;
  readonly login: string | undefined;
}

/**
 * Reads what may open servers: the file of an option, or else the credentials `rdpull.bearer` and `rdpull.login`, of the
 * unit if it was given any, else those that are encrypted for this machine, else of the system.
 *
 * Each holds one line, `TOKEN` or `USER:PASSWORD`; before it may stand the server that it is for and a space:
 * `https://example.com TOKEN`.
 *
 * @throws RdpullError credential-unusable
 */
export function readSecrets(
  files: SecretFiles,
  environment: Readonly<Record<string, string | undefined>>,
): readonly Secret[] {
  const asked = KINDS.flatMap((kind) => {
    const path = files[kind];
    return path === undefined
      ? []
      : [parseSecret(kind, readAsked(path, kind), shownUrl(`--${kind}=${path}`), true)];
  });
  if (asked.length > 0) return asked;
  return KINDS.flatMap((kind) => {
    const name = `rdpull.${kind}`;
    const text = serviceCredential(name, environment);
    return text === undefined ? [] : [parseSecret(kind, text, `the credential ${name}`, false)];
  });
}

/**
 * The text of a credential: of the unit if it was given any, else one that is encrypted for this machine, else of the system.
 *
 * @returns undefined when there is none
 * @throws RdpullError credential-unusable
 */
export function serviceCredential(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const given = environment['CREDENTIALS_DIRECTORY'];
  return (
    (given ? readCredential(`${given}/${name}`, name) : undefined) ??
    readEncrypted(name) ??
    (given ? undefined : readCredential(`${SYSTEM_CREDENTIALS}/${name}`, name))
  );
}

/** In the order in which they are taken. */
const KINDS: readonly SecretKind[] = ['bearer', 'login'];

/**
 * Separates a URL from the login in it, or finds the secret for its server. A secret never goes over plain http, where
 * everybody on the way can read it, and use it from then on; who wants that all the same writes a login into the URL.
 *
 * @param warn takes a line about a credential that is not sent
 * @throws RdpullError bad-option when a secret was asked for that cannot be sent
 */
export function loginFor(
  url: string,
  secrets: readonly Secret[],
  warn: (text: string) => void,
): { readonly url: string; readonly login: Login | undefined } {
  const split = splitLogin(url);
  if (split.login !== undefined || !URL.canParse(split.url)) return split;
  const { origin, protocol } = new URL(split.url);
  for (const secret of secrets) {
    const shown = shownUrl(split.url);
    if (secret.origin !== undefined && secret.origin !== origin) {
      if (!secret.isAsked) continue;
      throw notSent(
        `${secret.from} is for ${secret.origin}, not for ${shown}`,
        'name the file that is for this server',
      );
    }
    if (protocol === 'https:')
      return { url: split.url, login: { origin, authorization: secret.authorization } };
    const why = `${secret.from} is not sent to ${shown}: only over https is it safe from those on the way`;
    if (secret.isAsked) throw notSent(why, 'use an https URL');
    if (protocol === 'http:') warn(why);
  }
  return split;
}

function notSent(message: string, hint: string): RdpullError {
  return new RdpullError('bad-option', message, hint);
}

function parseSecret(kind: SecretKind, content: string, from: string, isAsked: boolean): Secret {
  // What echo and editors put behind the last line is no part of it.
  const text = content.replace(/\r?\n$/, '');
  const [, server, secret = ''] = /^(?:(https?:\/\/\S+) +)?(.*)$/s.exec(text) ?? [];
  const defect = secretDefect(kind, secret);
  if (defect !== undefined) throw unusable(from, defect);
  const origin = server === undefined ? undefined : originOf(server);
  if (server !== undefined && origin === undefined)
    throw unusable(from, 'what stands before the space is no server');
  const authorization =
    kind === 'bearer' ? `Bearer ${secret}` : `Basic ${Buffer.from(secret).toString('base64')}`;
  return { from, isAsked, origin, authorization };
}

/** What is wrong with a secret, in words that do not quote it. */
function secretDefect(kind: SecretKind, secret: string): string | undefined {
  if (secret === '') return 'it is empty';
  if (/[\r\n]/.test(secret)) return 'it is longer than one line';
  if (/[\x00-\x1f\x7f]/.test(secret)) return 'there are control characters in it';
  if (kind === 'bearer' && !/^[A-Za-z0-9._~+/-]+=*$/.test(secret)) {
    return 'there are characters in it that a token cannot hold (RFC 6750)';
  }
  if (kind === 'login' && !/^[^:]+:/.test(secret)) return 'it is not USER:PASSWORD';
  return undefined;
}

/** Scheme, host and port of a URL that says nothing else. */
function originOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { origin, href } = new URL(text);
  return href === `${origin}/` ? origin : undefined;
}

function readAsked(path: string, kind: SecretKind): string {
  const from = shownUrl(`--${kind}=${path}`);
  try {
    return read(path);
  } catch (error) {
    throw unusable(
      from,
      isSystemError(error, 'ENOENT') ? 'there is no such file' : reasonWithoutPath(error),
      error,
    );
  }
}

/** undefined when there is no such credential, or it is for others. */
function readCredential(path: string, name: string): string | undefined {
  try {
    return read(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined;
    throw unusable(`the credential ${name}`, reasonWithoutPath(error), error);
  }
}

/** undefined when this machine has none, or it is for others. */
function readEncrypted(name: string): string | undefined {
  const store = ENCRYPTED_STORES.find((directory) => fs.existsSync(`${directory}/${name}`));
  if (store === undefined) return undefined;
  try {
    return decryptCredential(`${store}/${name}`);
  } catch (error) {
    const { message, hint } = RdpullError.from(error);
    throw new RdpullError('credential-unusable', `the credential ${name} cannot be used: ${message}`, hint);
  }
}

function read(path: string): string {
  return readNamedFile(path, SECRET_MAX).toString();
}

function unusable(from: string, why: string, cause?: unknown): RdpullError {
  return new RdpullError(
    'credential-unusable',
    `${from} cannot be used: ${why}`,
    'it has to hold one line, with the token or USER:PASSWORD; before it may stand the server it is for, as https://HOST, and a space',
    // Others repeat the name of the file, which may be the secret itself.
    isSystemError(cause, 'EMFILE', 'ENFILE') ? { cause } : {},
  );
}
