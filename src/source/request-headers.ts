import { RdpullError } from '../console/rdpull-error.ts';
import { version } from '../version.ts';
import type { SourceOptions } from './source.ts';

/** RFC 9110, section 5.5: no controls but the tab. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** What every request for a file says of who asks, and of what is wanted. */
export function requestHeaders(
  url: URL,
  { login, accept }: Pick<SourceOptions, 'login' | 'accept'>,
): Record<string, string> {
  return {
    'user-agent': `rdpull/${version}`,
    // The digest is over the bytes of the file: no coding may be put around them.
    'accept-encoding': 'identity',
    ...(accept !== undefined && { accept }),
    // A login is for the server it was given for, and for no other.
    ...(login?.origin === url.origin && { authorization: login.authorization }),
  };
}

/**
 * A value that would end its line would say something else than was meant. It may be a secret.
 *
 * @throws RdpullError bad-option
 */
export function requireSendable(shown: string, fields: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(fields)) {
    if (VALUE.test(value)) continue;
    throw new RdpullError(
      'bad-option',
      `${shown}: the header ${name} cannot be sent over HTTP: there are control characters in its value`,
      'look at what the login, the token or the server says',
    );
  }
}
