/**
 * The field of an answer in which a server asks for reports: a path on itself, or a whole URL of its own. `rdpull serve` sends it
 * with all of its answers.
 */
export const REPORT_HEADER = 'rdpull-report';

/** A longer one is none. Characters. */
const LONGEST = 512;

/** What a URL is written in: RFC 3986, section 2. */
const WRITTEN = /^[\x21-\x7e]+$/;

/**
 * Where the server that answered for `answered` wants reports: at a URL of its own origin, over https if the answer came over
 * that, without a login. Anything else is passed over, as if nobody had asked.
 *
 * @param value of {@link REPORT_HEADER}
 */
export function reportUrl(answered: URL, value: string | undefined): URL | undefined {
  if (value === undefined || value.length > LONGEST || !WRITTEN.test(value)) return undefined;
  const url = URL.parse(value, answered.origin);
  if (url === null || url.origin !== answered.origin) return undefined;
  if (url.username !== '' || url.password !== '') return undefined;
  url.hash = '';
  return url;
}
