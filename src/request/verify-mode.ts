/** What has to hold before the downloaded bytes count as the image. */
export type VerifyMode =
  | { readonly kind: 'no' }
  /** The server's own list of digests names these bytes. */
  | { readonly kind: 'checksum' }
  /** That list is signed by a key of this machine's keyring. */
  | { readonly kind: 'signature' }
  /** The bytes as served have this SHA-256: 64 lower-case hexadecimal digits. */
  | { readonly kind: 'sha256'; readonly digest: string };

/** The ways to spell a mode, for messages. */
export const VERIFY_MODES: readonly string[] = ['no', 'checksum', 'signature', 'yes', 'sha256:HEX'];

/**
 * Reads `no`, `checksum`, `signature`, `yes` (the same as signature), `sha256:` and 64 hexadecimal digits, or those
 * digits alone (as `systemd-pull --verify=` takes them); undefined when it is none of these.
 */
export function parseVerifyMode(text: string): VerifyMode | undefined {
  switch (text) {
    case 'no':
    case 'checksum':
    case 'signature':
      return { kind: text };
    case 'yes':
      return { kind: 'signature' };
  }
  const digest = /^(?:sha256:)?([0-9a-fA-F]{64})$/.exec(text)?.[1];
  return digest === undefined ? undefined : { kind: 'sha256', digest: digest.toLowerCase() };
}

/** The inverse of {@link parseVerifyMode}. */
export function formatVerifyMode(mode: VerifyMode): string {
  return mode.kind === 'sha256' ? `sha256:${mode.digest}` : mode.kind;
}
