import type { FileState } from './file-state.ts';

/**
 * A strong entity tag (RFC 9110, section 8.8.3). Of the inode, the size and the times in ns, among them the one that
 * nobody can set: images of reproducible builds have the same size and date again and again.
 */
export function entityTag({ identity, size, modified, changed }: FileState): string {
  const inode = identity.slice(identity.indexOf(':') + 1);
  return `"${[BigInt(inode), BigInt(size), modified, changed].map((part) => part.toString(16)).join('-')}"`;
}

/**
 * Whether a list of entity tags, as in If-Match and If-None-Match, has `tag`, a strong one.
 *
 * @param comparison with the strong one, a weak tag of the list is never the same (RFC 9110, section 8.8.3.2)
 */
export function listsTag(list: string, tag: string, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true;
  for (const [listed] of list.matchAll(/(?:W\/)?"[^"]*"/g)) {
    if (listed === tag || (comparison === 'weak' && listed === `W/${tag}`)) return true;
  }
  return false;
}
