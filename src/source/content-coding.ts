import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** How the names of files end that some servers announce as coded, though they send them as they are (AddEncoding). */
const OWN_CODINGS: Readonly<Record<string, RegExp>> = {
  gzip: /\.(?:gz|tgz)$/i,
  'x-gzip': /\.(?:gz|tgz)$/i,
  bzip2: /\.(?:bz2|tbz2?)$/i,
  'x-bzip2': /\.(?:bz2|tbz2?)$/i,
  xz: /\.(?:xz|txz)$/i,
  'x-xz': /\.(?:xz|txz)$/i,
  zstd: /\.(?:zst|tzst)$/i,
};

/**
 * Refuses a body that the server has compressed on the way (`Content-Encoding`, RFC 9110, section 8.4) though it was
 * asked not to: these are not the bytes of the file, which digests are about.
 *
 * @param shown the URL as it may be printed
 * @throws RdpullError http-protocol
 */
export function requireUncoded(shown: string, { pathname }: URL, header: string | undefined): void {
  const coding = header?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity' || OWN_CODINGS[coding]?.test(pathname) === true) return;
  throw new RdpullError(
    'http-protocol',
    `${shown}: the server compresses the file on the way (Content-Encoding: ${printable(coding)}), though it was asked not to`,
    'turn compression off for this file in the configuration of the server',
  );
}
