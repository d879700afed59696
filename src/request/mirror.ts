import { type PlaceholderDefect, placeholderDefect } from './placeholder.ts';
import { urlDefect } from './url.ts';

/** Why `url` cannot be a mirror; undefined if it can. */
export function mirrorDefect(url: string): PlaceholderDefect | undefined {
  return defectOf(
    url,
    'write the whole URL of the file: http://HOST/FILE, https://HOST/FILE or file:///FILE',
  );
}

/** Why `url` cannot be where chunks lie; undefined if it can. */
export function storeDefect(url: string): PlaceholderDefect | undefined {
  return defectOf(
    url,
    'write the URL of the directory with the chunks: http://HOST/default.castr, https://HOST/... or file:///DIRECTORY',
  );
}

function defectOf(url: string, hint: string): PlaceholderDefect | undefined {
  const what = urlDefect(url);
  return what === undefined ? placeholderDefect({ kind: 'url', url }) : { what, hint };
}

/**
 * Whether a colon stands in the URL of `mirror=` or `store=`, where it should be escaped and nobody will: behind the scheme, in a login,
 * before a port and in an IPv6 address. No local name begins with what follows there.
 *
 * @param word the option so far
 */
export function isUrlColon(word: string, following: string): boolean {
  const [, url] = /^(?:mirror|store)=(.*)$/s.exec(word) ?? [];
  if (url === undefined) return false;
  if (/^(?:https?|file)$/.test(url)) return following.startsWith('/');
  if (!/^https?:\/\/[^/?#]*$/.test(url)) return false;
  if (/^[^/?#,]*@/.test(following)) return true;
  return word.lastIndexOf('[') > word.lastIndexOf(']') || /^\d{1,5}\//.test(following);
}
