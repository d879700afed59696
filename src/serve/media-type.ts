/** By the end of the name. `application/efi` is what some firmwares insist on for a UKI (UEFI specification 2.10, 24.7). */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  asc: 'application/pgp-signature',
  bz2: 'application/x-bzip2',
  efi: 'application/efi',
  gpg: 'application/pgp-signature',
  gz: 'application/gzip',
  json: 'application/json',
  p7s: 'application/pkcs7-signature',
  sha256: 'text/plain; charset=utf-8',
  tar: 'application/x-tar',
  txt: 'text/plain; charset=utf-8',
  xz: 'application/x-xz',
  zst: 'application/zstd',
};

const PLAIN_TEXT = 'text/plain; charset=utf-8';

/** The media type of a file of this name. Never a page that a browser would run: images come from anywhere. */
export function mediaType(name: string): string {
  if (name === 'SHA256SUMS') return PLAIN_TEXT;
  const suffix = name.slice(name.lastIndexOf('.') + 1).toLowerCase();
  return (Object.hasOwn(MEDIA_TYPES, suffix) && MEDIA_TYPES[suffix]) || 'application/octet-stream';
}
