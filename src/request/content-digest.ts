/** The length of a digest in hexadecimal digits, by its algorithm: those that the OCI image specification registers. */
const HEX_DIGITS = { sha256: 64, sha512: 128 } as const;

export type DigestAlgorithm = keyof typeof HEX_DIGITS;

/** What names bytes by themselves: `sha256:HEX` (OCI image specification, descriptor.md, "Digests"). */
export interface Digest {
  readonly algorithm: DigestAlgorithm;
  /** Lower-case hexadecimal digits. */
  readonly hex: string;
}

/** Reads `sha256:` or `sha512:` and its digits, in lower case as registries want them; undefined when it is none. */
export function parseDigest(text: string): Digest | undefined {
  const [, algorithm = '', hex = ''] = /^(sha256|sha512):([0-9a-f]+)$/.exec(text) ?? [];
  if (!isAlgorithm(algorithm) || hex.length !== HEX_DIGITS[algorithm]) return undefined;
  return { algorithm, hex };
}

/** The inverse of {@link parseDigest}. */
export function formatDigest({ algorithm, hex }: Digest): string {
  return `${algorithm}:${hex}`;
}

export function isSameDigest(one: Digest, other: Digest): boolean {
  return one.algorithm === other.algorithm && one.hex === other.hex;
}

function isAlgorithm(text: string): text is DigestAlgorithm {
  return Object.hasOwn(HEX_DIGITS, text);
}
