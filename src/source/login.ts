/** A login for one server, taken out of a URL so that no message, log or other server ever sees it. */
export interface Login {
  /** Scheme, host and port it is for. */
  readonly origin: string;
  /** The value of the Authorization header (RFC 7617). */
  readonly authorization: string;
}

/**
 * Separates `https://USER:PASSWORD@HOST/FILE` into the URL without the login, which the last `@` ends, and the login. A
 * backslash is a slash, as for the URL Standard (section 4.4).
 */
export function splitLogin(url: string): { readonly url: string; readonly login: Login | undefined } {
  const match = /^(https?:\/\/[/\\]*)([^/\\?#]*)@(.*)$/s.exec(url);
  const [, scheme = '', userInfo = '', rest = ''] = match ?? [];
  const bare = scheme + rest;
  if (match === null || !URL.canParse(bare)) return { url, login: undefined };
  const [user = '', ...password] = userInfo.split(':');
  const credentials = `${decode(user)}:${decode(password.join(':'))}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  return { url: bare, login: { origin: new URL(bare).origin, authorization } };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign means itself.
    return text;
  }
}
