/**
 * The names in the target of a request (RFC 9112, section 3.2: a path, or a whole URL), one below the other.
 * undefined when one of them can be no file's name: after decoding it is empty, `.` or `..`, or holds a slash or a NUL.
 */
export function requestPath(
  target: string,
): { readonly names: readonly string[]; readonly isDirectory: boolean } | undefined {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  if (path === '') return { names: [], isDirectory: true };
  if (!path.startsWith('/')) return undefined;
  const isDirectory = path.endsWith('/');
  const parts = path.split('/').slice(1, isDirectory ? -1 : undefined);
  const names: string[] = [];
  for (const part of parts) {
    const name = decoded(part);
    if (name === undefined || ['', '.', '..'].includes(name) || /[/\0]/.test(name)) return undefined;
    names.push(name);
  }
  return { names, isDirectory };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** `names` as the path of a URL, without the slash before it. */
export function urlPath(names: readonly string[]): string {
  return names.map(encodeURIComponent).join('/');
}

/** Whether a path is that of a chunk in a store of casync or desync: a directory of the first digits of its digest, and the digest. */
export function isChunkPath(names: readonly string[]): boolean {
  const [directory = '', name = ''] = names.slice(-2);
  return /^[0-9a-f]{64}(?:\.cacnk)?$/.test(name) && name.startsWith(directory) && directory.length === 4;
}
