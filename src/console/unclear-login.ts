/** Host and port, as they stand in a URL; the host may be a placeholder. */
export const HOST = /^(?:\[[^\]]*\]|[^\s:@]+)(?::\d{0,5})?$/;

/** A host that cannot be anything else: one with a domain, or an address. */
const SURE_HOST = /^(?:\[[^\]]*\]|localhost|\d+(?:\.\d+){3}|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,})(?::\d{1,5})?$/i;

/** A word and a port, or a user and a password that begins with digits. */
const HOST_OR_LOGIN = /^[^\s:@.[\]]+:\d{1,5}$/;

/** A name of 253 letters (RFC 1035, section 2.3.4), a port and a slash: what is longer is no host. */
const HOST_MAX = 260;

/** How far behind the start of a login a part of it is looked for that a URL cannot have there. */
const UNCLEAR_MAX = 256;

/** The same of what goes on without a space: tokens of registries have 2000 letters, and slashes among them. */
const UNCLEAR_WORD_MAX = 8192;

/** Where the logins of a text end that have in them what ends the authority of a URL: `/`, `?` or `#`. */
export interface UnclearLoginEnds {
  /**
   * Behind an `@`, when the authority, or what follows that `@`, says that the URL was meant so. Not a start before one that was
   * asked for earlier.
   *
   * @param start of the authority of a URL, which ends at `authorityEnd`; the URL before `limit`
   */
  of(start: number, authorityEnd: number, limit: number): number | undefined;
}

/** Each place of a text is looked at a few times only, however many logins may begin in it. */
export function createUnclearLoginEnds(text: string): UnclearLoginEnds {
  let hosts: readonly number[] | undefined;
  let sureHosts: readonly number[] | undefined;
  let wordEnd = -1;
  return {
    of(start, authorityEnd, limit) {
      if (wordEnd < authorityEnd) wordEnd = authorityEnd + text.slice(authorityEnd).search(/\s|$/);
      const word = Math.min(limit, wordEnd, authorityEnd + UNCLEAR_WORD_MAX);
      const authority = text.slice(start, authorityEnd);
      const host = authority.slice(authority.lastIndexOf('@') + 1);
      if (HOST.test(host) && text[authorityEnd] === '/') {
        if (authority !== host) {
          hosts ??= hostsBehindAt(text, HOST);
          return lastBetween(hosts, authorityEnd, word);
        }
        if (!HOST_OR_LOGIN.test(host)) return undefined;
        sureHosts ??= hostsBehindAt(text, SURE_HOST);
        return lastBetween(sureHosts, authorityEnd, word);
      }
      const end = Math.max(word, Math.min(limit, start + UNCLEAR_MAX));
      const last = text.slice(authorityEnd, end).lastIndexOf('@');
      if (last < 0) return undefined;
      hosts ??= hostsBehindAt(text, HOST);
      return lastBetween(hosts, authorityEnd, end) ?? authorityEnd + last + 1;
    },
  };
}

/** All places behind an `@` where a host and a path follow, in order. */
function hostsBehindAt(text: string, host: RegExp): readonly number[] {
  const found: number[] = [];
  for (let end = text.indexOf('@') + 1; end > 0; end = text.indexOf('@', end) + 1) {
    const next = text.slice(end, end + HOST_MAX);
    const length = next.search(/[/?#\s@]/);
    if (next[length] === '/' && host.test(next.slice(0, length))) found.push(end);
  }
  return found;
}

/** The last of these places behind `from`, and not behind `to`. */
function lastBetween(places: readonly number[], from: number, to: number): number | undefined {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((places[middle] ?? 0) <= to) low = middle + 1;
    else high = middle;
  }
  const place = places[low - 1];
  return place !== undefined && place > from ? place : undefined;
}
