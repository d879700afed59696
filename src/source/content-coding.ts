import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { hasMagic } from './magic-number.ts';

/** The codings there are (RFC 9110, section 8.4.1, and the registry of IANA), and what servers call others (AddEncoding). */
interface Coding {
  /** What a coded body begins with, a character for each byte; undefined where nothing tells it. */
  readonly magic: string | undefined;
  /** How the names of files end that are so by themselves. */
  readonly suffix: RegExp | undefined;
}

const GZIP: Coding = { magic: '\x1f\x8b', suffix: /\.(?:gz|tgz)$/i };
const BZIP2: Coding = { magic: 'BZh', suffix: /\.(?:bz2|tbz2?)$/i };
const XZ: Coding = { magic: '\xfd7zXZ', suffix: /\.(?:xz|txz)$/i };
const COMPRESS: Coding = { magic: '\x1f\x9d', suffix: /\.Z$/ };
const UNTOLD: Coding = { magic: undefined, suffix: undefined };

const CODINGS: ReadonlyMap<string, Coding> = new Map([
  ['gzip', GZIP],
  ['x-gzip', GZIP],
  ['bzip2', BZIP2],
  ['x-bzip2', BZIP2],
  ['xz', XZ],
  ['x-xz', XZ],
  ['compress', COMPRESS],
  ['x-compress', COMPRESS],
  ['zstd', { magic: '\x28\xb5\x2f\xfd', suffix: /\.(?:zst|tzst)$/i }],
  ['br', UNTOLD],
  ['deflate', UNTOLD],
]);

/** Of a body, what has to be looked at to tell a coding, in bytes. */
export const CODING_START_BYTES = 5;

/**
 * The codings that an answer says its body is in (`Content-Encoding`), and that the file is not in by itself, as far as names say.
 * What is no coding counts for nothing: object stores keep whatever an upload had said (`aws-chunked`, `None`, `UTF-8`).
 *
 * @param pathnames of the URL that was asked for, and of that which has answered
 */
export function foreignCodings(header: string | undefined, pathnames: readonly string[]): readonly string[] {
  const named = (header ?? '').split(',').map((word) => word.trim().toLowerCase());
  return named.filter((word) => {
    const coding = CODINGS.get(word);
    return coding !== undefined && !pathnames.some((pathname) => coding.suffix?.test(pathname) === true);
  });
}

/**
 * Refuses a body that the server has compressed on the way though it was asked not to (RFC 9110, section 8.4): these are not the
 * bytes of the file. A label alone does not make it so.
 *
 * @param shown the URL as it may be printed
 * @param codings {@link foreignCodings}, at least one
 * @param start the first bytes of the body
 * @throws RdpullError http-protocol
 */
export function requireUncoded(shown: string, codings: readonly string[], start: Uint8Array): void {
  const last = codings.at(-1);
  const magic = last === undefined ? undefined : CODINGS.get(last)?.magic;
  // What was done last is what it begins with.
  if (magic !== undefined && !hasMagic(start, magic)) return;
  throw new RdpullError(
    'http-protocol',
    `${shown}: the server compresses the file on the way (Content-Encoding: ${printable(codings.join(', '))}), though it was asked not to`,
    'turn compression off for this file in the configuration of the server',
  );
}
