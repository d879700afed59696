import { createUnclearLoginEnds, HOST, type UnclearLoginEnds } from './unclear-login.ts';

/** A part of a text that is nobody's business. Positions in UTF-16 code units. */
export interface SecretPart {
  /**
   * `login`: what stands before the host of a URL, with the `@` that ends it. `unclear login`: the same, but for a part of it
   * that a URL cannot have there, so that it is not sure where it ends. `parameter`: the value of a parameter of a query.
   * `file`: what an option that takes the name of a file with a secret was given, and what may be the secret itself.
   */
  readonly kind: 'login' | 'unclear login' | 'parameter' | 'file';
  readonly start: number;
  readonly end: number;
}

/** What stands where a secret belongs, in a command to be completed and in advice. */
export const LOGIN_PLACEHOLDER = 'LOGIN';
export const PARAMETER_PLACEHOLDER = 'SECRET';
export const FILE_PLACEHOLDER = 'FILE';
const NO_SECRETS: ReadonlySet<string> = new Set([
  `${LOGIN_PLACEHOLDER}@`,
  'USER:PASSWORD@',
  PARAMETER_PLACEHOLDER,
  FILE_PLACEHOLDER,
]);

/** Where another URL begins: in an expression, a mirror's is before that of the image. */
const NEXT_URL = /(?<![a-z0-9+.-])(?:https?|file)\\?:[/\\]/gi;

/**
 * Behind what a login may stand: a scheme, which may be misspelt, its colon escaped or not, and any number of slashes or
 * backslashes, which for the URL Standard (section 4.4) are as good; or, where no scheme is needed, the start.
 */
const BEFORE_LOGIN = /(?:^(?:https?:|[/\\]{2}|--proxy=)|:[/\\])[/\\]*/gi;

/**
 * What makes a URL a credential by itself: a signature, as redirects of object stores have one (AWS Signature Version 4,
 * Google Cloud Storage, shared access signatures of Azure, CloudFront, Akamai, nginx's secure_link), or what else is called
 * like a secret.
 */
const SECRET_NAME =
  /(?:^|[-_.])(?:auth|authorization|credentials?|hdn[et][as]|hmac|jwt|key|apikey|md5|pass|passwd|password|pwd|sas|secret|sig|signature|token)$/i;

/** What has no slash may be a name as well as a token; what ends a sentence is no part of it. */
const FILE_OPTION = /^(--(?:bearer|login|passphrase)=)([^/]+?)[,.:;]*$/;

/** The name of a parameter, in a query or a fragment. */
const PARAMETER = /[?&#;]([^=&#?;\s]*)=/g;

/** Its value; what ends a sentence is no part of it. */
const VALUE = /[^&#\s"]*[^&#\s":,]/y;

/**
 * The logins and the signed parameters in a text: a URL, an expression, a command line, or a message that holds one. They do
 * not overlap, and come in the order in which they stand there.
 */
export function secretParts(text: string): SecretPart[] {
  // Most texts hold none, and the generator, whose every millisecond counts, compiles no pattern to know that.
  const mayHaveParameters = text.includes('=') && ['?', '&', '#', ';'].some((mark) => text.includes(mark));
  if (!text.startsWith('--') && !text.includes('@') && !mayHaveParameters) return [];
  const [, option, value = ''] = FILE_OPTION.exec(text) ?? [];
  if (option !== undefined && !NO_SECRETS.has(value)) {
    return [{ kind: 'file', start: option.length, end: option.length + value.length }];
  }
  const logins = text.includes('@') ? loginsIn(text) : [];
  const parameters = parametersIn(text).filter(
    ({ start, end }) => !logins.some((login) => start < login.end && login.start < end),
  );
  return [...logins, ...parameters]
    .filter(({ start, end }) => !NO_SECRETS.has(text.slice(start, end)))
    .sort((a, b) => a.start - b.start);
}

/** `text` with something else in place of its secrets. */
export function replaceSecrets(
  text: string,
  replacement: Readonly<Record<SecretPart['kind'], string>>,
): string {
  let replaced = '';
  let done = 0;
  for (const { kind, start, end } of secretParts(text)) {
    replaced += text.slice(done, start) + replacement[kind];
    done = end;
  }
  return replaced + text.slice(done);
}

/**
 * Whether `url` has a login with `/`, `?` or `#` in it, which have to be escaped there: by its letters it has none, and its host is
 * no host.
 */
export function hasBrokenLogin(url: string): boolean {
  if (!url.includes('@')) return false;
  const [, authority = '', rest = ''] = /^https?:\/\/+([^/?#]*)(.*)$/is.exec(url) ?? [];
  return rest.includes('@') && !HOST.test(authority.slice(authority.lastIndexOf('@') + 1));
}

function loginsIn(text: string): SecretPart[] {
  const found: SecretPart[] = [];
  const urls = [...text.matchAll(NEXT_URL)].map(({ index }) => index);
  const unclearEnds = createUnclearLoginEnds(text);
  let nextUrl = 0;
  const before = new RegExp(BEFORE_LOGIN);
  for (let match = before.exec(text); match !== null; match = before.exec(text)) {
    const start = before.lastIndex;
    while ((urls[nextUrl] ?? Number.POSITIVE_INFINITY) < start) nextUrl++;
    const login = /(?<![a-z0-9+.-])file\\?$/i.test(text.slice(Math.max(0, match.index - 6), match.index))
      ? undefined
      : loginAt(text, start, urls[nextUrl] ?? text.length, unclearEnds);
    if (login !== undefined) found.push(login);
    before.lastIndex = login?.end ?? start;
  }
  return found;
}

/** The login that begins at `start`, in a URL that ends before `limit`. */
function loginAt(
  text: string,
  start: number,
  limit: number,
  unclearEnds: UnclearLoginEnds,
): SecretPart | undefined {
  const authorityEnd = start + text.slice(start, limit).search(/[/?#]|$/);
  const unclear = unclearEnds.of(start, authorityEnd, limit);
  if (unclear !== undefined) return { kind: 'unclear login', start, end: unclear };
  const clear = text.slice(start, authorityEnd).lastIndexOf('@') + 1;
  return clear === 0 ? undefined : { kind: 'login', start, end: start + clear };
}

function parametersIn(text: string): SecretPart[] {
  const found: SecretPart[] = [];
  const names = new RegExp(PARAMETER);
  const values = new RegExp(VALUE);
  for (let match = names.exec(text); match !== null; match = names.exec(text)) {
    // The value of another one may hold more of them: behind a ";", or in a URL that is a parameter itself.
    if (!SECRET_NAME.test(plainName(match[1] ?? ''))) continue;
    const start = names.lastIndex;
    values.lastIndex = start;
    if (!values.test(text)) continue;
    found.push({ kind: 'parameter', start, end: values.lastIndex });
    names.lastIndex = values.lastIndex;
  }
  return found;
}

/** The words of a name between dashes, also where they are escaped or told apart by capitals. */
function plainName(name: string): string {
  return name.replace(/%2d|%5f/gi, '-').replace(/([a-z])([A-Z])/g, '$1-$2');
}
