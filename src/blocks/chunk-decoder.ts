import { RdpullError } from '../console/rdpull-error.ts';
import { compressionOf } from '../decode/compression-magic.ts';
import type { MemberCodec } from '../decode/member-decoder.ts';
import type { Encoding } from './block-map.ts';
import type { ChunkDigest } from './chunk-digest.ts';
import { digestOfChunk } from './chunk-hashing.ts';

/** What `casync make --compression=` and desync pack chunks with. */
type Packing = 'zstd' | 'xz' | 'gzip';

type ChunkEncoding = Pick<Extract<Encoding, { kind: 'chunk' }>, 'algorithm' | 'digest'>;

/**
 * Makes the bytes of a chunk of what a store has of it: packed, or as it is. Which of both it is, its digest tells, and no name.
 *
 * @param codecOf the library for a packing
 * @throws RdpullError chunk-damaged when what comes out is anything else
 */
export function unpackChunk(
  stored: Uint8Array,
  { algorithm, digest }: ChunkEncoding,
  output: Uint8Array,
  codecOf: (packing: Packing) => MemberCodec,
): void {
  if (stored.length === output.length && digestOfChunk(stored, algorithm) === digest) {
    output.set(stored);
    return;
  }
  const packing = compressionOf(stored);
  if (packing === undefined || packing === 'bzip2')
    throw otherBytes(stored, output.length, algorithm, digest);
  const defect = unpacked(codecOf(packing), stored, output);
  if (defect !== undefined) throw chunkDamaged(digest, defect);
  requireChunk(output, { algorithm, digest });
}

/** @throws RdpullError chunk-damaged when they have another digest */
export function requireChunk(bytes: Uint8Array, { algorithm, digest }: ChunkEncoding): void {
  const actual = digestOfChunk(bytes, algorithm);
  if (actual !== digest) throw chunkDamaged(digest, `its ${algorithm} is ${actual}`);
}

/** All of `stored` has to become all of `output`. @returns what is wrong */
function unpacked(codec: MemberCodec, stored: Uint8Array, output: Uint8Array): string | undefined {
  if (codec.whole?.(stored, output) === true) return undefined;
  codec.begin();
  let taken = 0;
  let filled = 0;
  try {
    for (;;) {
      const step = codec.step(stored.subarray(taken), output.subarray(filled), true);
      taken += step.consumed;
      filled += step.produced;
      if (step.ended) break;
      if (step.consumed === 0 && step.produced === 0) {
        return filled === output.length
          ? `more than ${output.length} bytes come out of it`
          : `it ends after ${filled} of ${output.length} bytes`;
      }
    }
  } catch (error) {
    // What is damaged may look like anything: like a stream that needs more memory, too.
    if (error instanceof RdpullError && error.code !== 'internal') return error.message;
    throw error;
  }
  if (taken !== stored.length) return `${stored.length - taken} bytes follow behind its end`;
  return filled === output.length ? undefined : `${filled} bytes come out of it, and not ${output.length}`;
}

function otherBytes(stored: Uint8Array, length: number, algorithm: ChunkDigest, digest: string): RdpullError {
  const bytes = stored.length === length ? '' : `${stored.length} bytes came, and not ${length}, and `;
  return chunkDamaged(digest, `${bytes}its ${algorithm} is ${digestOfChunk(stored, algorithm)}`);
}

function chunkDamaged(digest: string, defect: string): RdpullError {
  return new RdpullError(
    'chunk-damaged',
    `chunk ${digest} is another one: ${defect}`,
    'upload the chunks again, or make them again: casync make --store=default.castr IMAGE.caibx IMAGE.raw',
  );
}
