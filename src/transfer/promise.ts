import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { lastComponent, replaceComponents } from '../request/url.ts';
import type { VerifyMode } from '../request/verify-mode.ts';
import { createAttempts } from '../source/attempts.ts';
import { requireFile } from '../source/file.ts';
import { fetchSmallFile, openSource } from '../source/open-source.ts';
import { Pools } from '../source/pools.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import { checksumMismatch } from '../verify/checksum-mismatch.ts';
import { entryOf, lists, MANIFEST_MAX } from '../verify/manifest.ts';
import type { Signer } from '../verify/signer.ts';

/** The digest that a file has to have, and who says so. */
export interface Promised {
  /** SHA-256 of the bytes as served, lower-case hexadecimal. */
  readonly digest: string;
  /** The checksum file that says so; undefined when the request itself does (`verify=sha256:HEX`). */
  readonly manifestUrl: string | undefined;
  /** Who signed the checksum file; undefined when no signature was asked for. */
  readonly signedBy: Signer | undefined;
}

/** What a file is held against. */
export interface Demand {
  /** Undefined when nothing is demanded of it. */
  readonly promised: Promised | undefined;
  /** The SHA-256 that the same checksum file gives for the file `name`; undefined when it lists none. */
  digestOf(name: string): string | undefined;
}

/** A demand, and what says so. */
export interface FoundDemand extends Demand {
  /** The checksum file and its signature, and what else was found on the way there, by their URLs. */
  readonly vouchers: ReadonlyMap<string, Uint8Array>;
}

/** What is asked of a file. */
export interface Verification {
  readonly verify: VerifyMode;
  /** Keyrings given with `--keyring=` and certificates given with `--certificate=`; none of both: the system's. */
  readonly keyrings: readonly string[];
  readonly certificates: readonly string[];
  /** The directory that stands for `/` in the system's places; nothing in the environment names others then. */
  readonly root?: string;
}

/**
 * What `verify` demands of a file. Any of the locations may have the checksum
 * file, and its signature beside it: what one of them lacks, or has spoilt, never makes the demand a weaker one.
 *
 * @param explain takes a line for each step
 * @throws RdpullError of the verify, network or http family
 */
export async function findPromise(
  locations: readonly Location[],
  { verify, keyrings, certificates, root }: Verification,
  options: SourceOptions,
  explain: (text: string) => void,
): Promise<FoundDemand> {
  const alone = { digestOf: () => undefined, vouchers: new Map() };
  if (verify.kind === 'no') return { promised: undefined, ...alone };
  if (verify.kind === 'sha256') {
    return { promised: { digest: verify.digest, manifestUrl: undefined, signedBy: undefined }, ...alone };
  }
  // The OpenPGP library is large: not for pulls that do without.
  const { expectedDigest } = await import('../verify/expected-digest.ts');
  const { patience: _, ...once } = options;
  return createAttempts(locations, options).make(async ({ url, ...server }) => {
    const vouchers = new Map<string, Uint8Array>();
    const { manifest, ...promised } = await expectedDigest({
      fileUrl: shownUrl(url),
      fileName: lastComponent(url),
      sibling: (name) => replaceComponents(url, 1, name),
      async fetchSmall(manifestUrl, absent) {
        const content = await fetchSmallFile(manifestUrl, MANIFEST_MAX, { ...once, ...server }, { absent });
        if (content !== undefined) vouchers.set(manifestUrl, content);
        return content;
      },
      requireSignature: verify.kind === 'signature',
      shown: shownUrl,
      trust: {
        files: keyrings,
        certificates,
        warn: explain,
        ...(root !== undefined && { root, environment: {} }),
      },
      explain,
    });
    return {
      promised,
      digestOf: (name) => (lists(manifest, name) ? entryOf(manifest, name).digest : undefined),
      vouchers,
    };
  });
}

/** The digest and the length of bytes that were read. */
export interface Received {
  /** SHA-256, lower-case hexadecimal. */
  readonly sha256: string;
  readonly bytes: number;
}

/** @throws RdpullError checksum-mismatch when `received` is not what was promised */
export function requirePromise(
  url: string,
  promised: Promised | undefined,
  { sha256, bytes }: Received,
): void {
  if (promised === undefined || promised.digest === sha256) return;
  throw checksumMismatch({
    url: shownUrl(url),
    bytes,
    actual: sha256,
    expected: promised.digest,
    manifestUrl: promised.manifestUrl,
  });
}

/**
 * Checks the file at `url` where it lies, without keeping it.
 *
 * @throws RdpullError when it is not what `verification` demands
 */
export async function checkFile(
  url: string,
  verification: Verification,
  options: SourceOptions,
  explain: (text: string) => void,
): Promise<Received & { readonly promised: Promised }> {
  requireFile(url);
  using pools = new Pools();
  const access = { pools, ...options };
  const { promised } = await findPromise([{ ...access, url }], verification, access, explain);
  if (promised === undefined) {
    throw new RdpullError(
      'bad-option',
      'verify=no leaves nothing to check',
      'choose signature, checksum or sha256:HEX',
    );
  }
  const source = await openSource(url, { ...access, isPromised: true });
  try {
    const digest = new Bun.CryptoHasher('sha256');
    let bytes = 0;
    for await (const chunk of source.body) {
      options.signal.throwIfAborted();
      digest.update(chunk);
      bytes += chunk.length;
    }
    const received = { sha256: digest.digest('hex'), bytes };
    explain(`${shownUrl(url)}: ${bytes} bytes with the SHA-256 ${received.sha256}`);
    requirePromise(url, promised, received);
    return { ...received, promised };
  } finally {
    source.close();
  }
}
