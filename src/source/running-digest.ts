/** What of a file went by, as a number that is another one where it was another file. */
export interface RunningDigest {
  update(bytes: Uint8Array): void;
  /** Of all so far: lower-case hexadecimal. */
  value(): string;
}

/**
 * `sha256` vouches for the bytes. `crc32` tells two versions of a file from each other, and nothing more, for a few instructions a byte: where
 * a processor has none for SHA-256, or is emulated, that takes longer than all the rest of a pull.
 */
export type DigestKind = 'sha256' | 'crc32';

export function startDigest(kind: DigestKind): RunningDigest {
  if (kind === 'sha256') {
    const hasher = new Bun.CryptoHasher('sha256');
    return { update: (bytes) => void hasher.update(bytes), value: () => hasher.copy().digest('hex') };
  }
  let crc = 0;
  return {
    update(bytes) {
      crc = Bun.hash.crc32(bytes, crc);
    },
    value: () => crc.toString(16).padStart(8, '0'),
  };
}
