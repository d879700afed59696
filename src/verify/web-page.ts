/** Where a page's first tag stands at the latest. In bytes. */
const HEAD = 1024;

/**
 * Whether a server answered with a web page where a file was asked for: many answer every
 * unknown path that way, with the status 200.
 */
export function isWebPage(content: Uint8Array): boolean {
  const head = new TextDecoder().decode(content.subarray(0, HEAD));
  return /^\s*(?:<!doctype html|<html)\b/i.test(head);
}
