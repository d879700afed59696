import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { HttpStatusError } from '../source/http-status.ts';
import type { Login } from '../source/login.ts';
import { openSourceOnce } from '../source/open-source.ts';
import type { SourceOptions } from '../source/source.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { FieldError, optionalString, parseFields } from './json-fields.ts';
import { registryRefusal } from './refusal.ts';
import type { ResolvedReference } from './resolve-reference.ts';
import { readBody } from './small-body.ts';

/** What a token may take, and what is said around it, in bytes. */
const TOKEN_MAX = 256 * 1024;

/** What a token may hold (RFC 6750, section 2.1, and what registries send beyond that): nothing that would end its header. */
const TOKEN = /^[\x21-\x7e]+$/;

/** How a client shows a registry who it is. */
export interface Authorization {
  /** What goes along with the next request. */
  readonly login: Login | undefined;
  /**
   * A request was refused that had `used`: finds out by what the registry lets a client in. What goes on at the same time
   * waits for the same token.
   *
   * @returns whether another attempt makes sense
   * @throws RdpullError
   */
  renew(used: Login | undefined, challenges: readonly string[]): Promise<boolean>;
}

/**
 * Nothing is shown before the registry has asked for it, but for a token that somebody gave: then its challenge says whether
 * the login itself is wanted, or a token, for which the login is shown to the server that the challenge names.
 *
 * @param given the login for the registry, or a token
 */
export function createAuthorization(
  reference: ResolvedReference,
  given: Login | undefined,
  options: SourceOptions,
): Authorization {
  const { origin } = reference;
  const isToken = given?.authorization.startsWith('Bearer ') === true;
  let login = isToken ? given : undefined;
  let renewing: Promise<boolean> | undefined;

  async function answer(used: Login | undefined, challenges: readonly Challenge[]): Promise<boolean> {
    for (const challenge of challenges) {
      if (isToken) return false;
      if (challenge.scheme === 'bearer') {
        const token = await fetchToken(challenge, reference, given, options);
        login = { origin, authorization: `Bearer ${token}` };
        return true;
      }
      if (given === undefined || used === given) continue;
      login = given;
      return true;
    }
    return false;
  }

  return {
    get login() {
      return login;
    },
    async renew(used, challenges) {
      if (login !== used) return true;
      renewing ??= answer(used, parseChallenges(challenges)).finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
  };
}

/**
 * Asks a token server, with the login or anonymously ("Token Authentication Specification" of the distribution project).
 *
 * @throws RdpullError
 */
async function fetchToken(
  { realm, service, scope }: Extract<Challenge, { scheme: 'bearer' }>,
  { origin, image, repository }: ResolvedReference,
  login: Login | undefined,
  options: SourceOptions,
): Promise<string> {
  const url = realmUrl(realm, origin);
  if (service !== undefined) url.searchParams.set('service', service);
  url.searchParams.set('scope', scope ?? `repository:${image}:pull`);
  // The client certificate is for one origin, which may be that of the token server as well. Reports are for the registry alone.
  const { heard: _, zone: _zone, ...access } = options;
  try {
    const source = await openSourceOnce(url.href, {
      ...access,
      keepsRefusal: true,
      login: login === undefined ? undefined : { origin: url.origin, authorization: login.authorization },
    });
    return readToken(await readBody(source, TOKEN_MAX), url.href);
  } catch (error) {
    if (!(error instanceof HttpStatusError)) throw error;
    throw registryRefusal(error, url.href, 'token', repository, login !== undefined);
  }
}

/** A login, and what it opens, goes where nobody on the way can read it; as for the registry itself, but no worse. */
function realmUrl(realm: string, registry: string): URL {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  const isGood = url?.protocol === 'https:' || (url?.protocol === 'http:' && registry.startsWith('http:'));
  if (url !== undefined && isGood && url.username === '' && url.password === '') {
    url.hash = '';
    return url;
  }
  throw new RdpullError(
    'registry-unauthorized',
    `${registry} has its tokens made by ${shownUrl(realm)}, which is no https URL`,
    'correct the "realm" in the configuration of the registry',
  );
}

function readToken(bytes: Uint8Array, url: string): string {
  try {
    const fields = parseFields(bytes);
    const token = optionalString(fields, 'token') ?? optionalString(fields, 'access_token');
    if (token === undefined) throw new FieldError('it has no "token"');
    if (!TOKEN.test(token)) throw new FieldError('its "token" cannot be sent');
    return token;
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    throw new RdpullError(
      'registry-unauthorized',
      `${shownUrl(url)} makes tokens for the registry, and has sent none: ${error.message}`,
      'check what it answers, and the "realm" in the configuration of the registry',
    );
  }
}
