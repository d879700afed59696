import { type PlaceholderDefect, placeholderDefect } from './placeholder.ts';
import { urlDefect } from './url.ts';

/** Why `url` cannot be a mirror; undefined if it can. */
export function mirrorDefect(url: string): PlaceholderDefect | undefined {
  const what = urlDefect(url);
  if (what === undefined) return placeholderDefect({ kind: 'url', url });
  return {
    what,
    hint: 'write the whole URL of the file: http://HOST/FILE, https://HOST/FILE or file:///FILE',
  };
}

/**
 * Whether a colon stands in a mirror's URL, where it should be escaped and nobody will: behind the scheme, in a login,
 * before a port and in an IPv6 address. No local name begins with what follows there.
 *
 * @param word the option so far
 */
export function isMirrorColon(word: string, following: string): boolean {
  if (!word.startsWith('mirror=')) return false;
  if (/^mirror=(?:https?|file)$/.test(word)) return following.startsWith('/');
  if (!/^mirror=https?:\/\/[^/?#]*$/.test(word)) return false;
  if (/^[^/?#,]*@/.test(following)) return true;
  return word.lastIndexOf('[') > word.lastIndexOf(']') || /^\d{1,5}\//.test(following);
}
