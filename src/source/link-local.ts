/** A URL that can be parsed, and the zone that stood in it. */
export interface ZonedUrl {
  readonly url: string;
  /** The name or the number of an interface; undefined when there is none. */
  readonly zone: string | undefined;
}

/** The host begins behind the login, which the last `@` ends (login.ts). A backslash is a slash, as for the URL Standard (section 4.4). */
const ZONED =
  /^(https?:\/\/[/\\]*(?:[^/\\?#]*@)?\[fe[89ab][0-9a-f]:[0-9a-f:.]*)%(?:25)?([a-z0-9._~-]{1,15})(\][^/\\?#@]*(?:[/\\?#].*)?)$/is;

/**
 * Takes the zone out of `http://[fe80::1%25eth0]/FILE` (RFC 6874, and `%eth0` as people write it): the URL standard of
 * browsers, which the runtime follows, has none.
 */
export function splitZone(url: string): ZonedUrl {
  const match = ZONED.exec(url);
  const [, before = '', zone, behind = ''] = match ?? [];
  return match === null ? { url, zone: undefined } : { url: before + behind, zone };
}
