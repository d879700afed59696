import { RdpullError } from '../console/rdpull-error.ts';
import { hasBrokenLogin } from '../console/secret-parts.ts';
import { quotedUrl } from '../console/shown-url.ts';

/**
 * Whether `text` may be part of a URL: printable ASCII and the space. systemd lets control characters pass too; no
 * server was ever reached with one, and here URLs end up in unit files and on terminals.
 */
export function isUrlText(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** Whether `url` is what systemd takes for an HTTP URL: the scheme in lower case and something after it. */
export function isHttpUrl(url: string): boolean {
  return /^https?:\/\/./.test(url) && isUrlText(url);
}

/** Whether `url` is what systemd takes for a file URL: `file:/` and something after it. */
export function isFileUrl(url: string): boolean {
  return /^file:\/./.test(url) && isUrlText(url);
}

/** Why `url` cannot be pulled from, as the end of a sentence that starts with it; undefined if it can. */
export function urlDefect(url: string): string | undefined {
  if (!isUrlText(url)) return 'holds characters that a URL cannot';
  if (/^(?:https?:\/\/|file:\/)\/*(?:[?#]|$)/.test(url))
    return 'ends where the host or the path should follow';
  if (hasBrokenLogin(url))
    return 'has a login with /, ? or # in it, which have to be written %2F, %3F and %23';
  if (isHttpUrl(url) || isFileUrl(url)) return undefined;
  return 'does not start with http://, https:// or file:/';
}

/**
 * The last component of the path, without query, fragment and trailing slashes; undefined when there is none
 * (`https://host/`).
 *
 * @throws RdpullError bad-url when not even a host can be told
 */
export function lastComponent(url: string): string | undefined {
  const { start, end } = pathOf(url);
  const path = url.slice(start, end);
  return path.slice(path.lastIndexOf('/') + 1) || undefined;
}

/**
 * `url` with its last `drop` components (never the host), its query and its fragment replaced by `/` and
 * `replacement`, which is taken as it stands.
 *
 * @throws RdpullError bad-url when not even a host can be told
 */
export function replaceComponents(url: string, drop: number, replacement: string): string {
  let { start, end } = pathOf(url);
  for (let dropped = 0; dropped < drop && end > start; dropped++) {
    end = withoutSlashes(url, start, url.lastIndexOf('/', end - 1));
  }
  return `${url.slice(0, end)}/${replacement}`;
}

/** Where the path starts, and where it ends: before trailing slashes, query and fragment. */
function pathOf(url: string): { start: number; end: number } {
  const start = hostEnd(url);
  const length = url.slice(start).search(/[?#]/);
  return { start, end: withoutSlashes(url, start, length < 0 ? url.length : start + length) };
}

/** Skips the scheme, all slashes that follow it, and the host. */
function hostEnd(url: string): number {
  // Unlike in systemd, `file:/x` and `file:///x` name a file x, not a host.
  if (url.startsWith('file:///')) return 'file://'.length;
  if (url.startsWith('file:/') && !url.startsWith('file://')) return 'file:'.length;

  const colon = url.indexOf(':');
  let host = colon + 1;
  while (url[host] === '/') host++;
  const length = url.slice(host).search(/[/?#]/);
  const end = length < 0 ? url.length : host + length;
  if (colon > 0 && end > host) return end;
  throw new RdpullError(
    'bad-url',
    `${quotedUrl(url)} is not a URL: it names no host`,
    'write the URL as http://HOST/FILE or https://HOST/FILE',
  );
}

/** `end`, moved back over the slashes before it, but not beyond `start`. */
function withoutSlashes(url: string, start: number, end: number): number {
  let kept = end;
  while (kept > start && url[kept - 1] === '/') kept--;
  return kept;
}
