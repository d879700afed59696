import { parseQcow2Header, QCOW2_HEADER_BYTES } from '../blocks/qcow2-header.ts';
import { size } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { Compression } from '../decode/compression-magic.ts';
import { openGzipCodec } from '../decode/gzip.ts';
import type { MemberCodec } from '../decode/member-decoder.ts';
import { isQcow2 } from '../decode/qcow2-magic.ts';
import { beginsLikeTarball } from '../decode/tar-block.ts';
import { openXzCodec } from '../decode/xz.ts';
import { openZstdCodec } from '../decode/zstd.ts';
import type { ImageBytes } from '../expose/image-bytes.ts';
import { type ImageLayout, identifyImage } from '../expose/image-layout.ts';
import { rootDevice } from '../expose/root-partition.ts';
import type { FileType } from '../request/image-class.ts';
import type { ExpectedSize } from '../transfer/expected-size.ts';
import { CONTENT_START_BYTES, requireContent } from '../transfer/sink/expected-content.ts';
import type { Findings } from './finding.ts';

/**
 * Bytes of the file, as served, that are asked for: one block of zstd is in there, which has 128 KiB at most (RFC 8878,
 * section 3.1.1.2.4).
 */
export const LOOKED_AT = 160 * 1024;

/** What the image is meant for. */
export interface ImageUse {
  readonly type: FileType;
  readonly isRoot: boolean;
  readonly blockdev: boolean;
  /** Of the machine that boots. */
  readonly architecture: NodeJS.Architecture;
  /** The image, for messages. */
  readonly shown: string;
}

/**
 * Looks whether an image begins like what it is said to be.
 *
 * @param served its first bytes, as served
 * @returns the file system of an image that is one and nothing else
 * @throws RdpullError image-unrecognised, those of the decoders, and those of {@link parseQcow2Header}
 */
export function checkImageStart(
  findings: Findings,
  served: Uint8Array,
  { compression, uncompressed, exact }: ExpectedSize,
  { type, isRoot, blockdev, architecture, shown }: ImageUse,
): string | undefined {
  const start = Buffer.from(decodedStart(served, compression));
  requireContentAt(shown, start, type, compression);
  if (type === 'tar') {
    if (beginsLikeTarball(start)) findings.ok('image', 'it is a tarball');
    else if (start.length >= 512) {
      throw new RdpullError(
        'image-unrecognised',
        `${shown} does not begin like a tarball`,
        'if it is a disk image, say raw',
      );
    }
    return undefined;
  }
  if (isQcow2(start)) {
    // What is in it does not lie at its beginning.
    const header = parseQcow2Header(start.subarray(0, QCOW2_HEADER_BYTES));
    if (compression !== 'none') {
      findings.ok(
        'image',
        `inside is a qcow2 image, which will be converted to a raw one of ${size(header.size)}`,
      );
    }
    return undefined;
  }
  const isWhole = exact && start.length >= uncompressed;
  if (!(blockdev || isRoot) || (start.length < CONTENT_START_BYTES && !isWhole)) return undefined;

  let isBeyond = false;
  const image: ImageBytes = {
    size: exact ? uncompressed : Number.MAX_SAFE_INTEGER,
    read(from, length) {
      if (from + length > start.length && !isWhole) isBeyond = true;
      return start.subarray(Math.min(from, start.length), from + length);
    },
  };
  try {
    return checkLayout(findings, identifyImage(image, shown), isRoot, architecture);
  } catch (error) {
    // What lies further behind could say otherwise.
    if (!(error instanceof RdpullError) || !isBeyond) throw error;
  }
  return undefined;
}

/** @returns the file system of an image that is one */
function checkLayout(
  findings: Findings,
  layout: ImageLayout,
  isRoot: boolean,
  architecture: NodeJS.Architecture,
): string | undefined {
  if (layout.kind === 'file-system') {
    findings.ok('image', `it is one file system, ${layout.type}`);
    return layout.type;
  }
  for (const oddity of layout.oddities ?? []) {
    findings.warn('image', `its partition table is damaged: ${oddity}`, 'build it anew');
  }
  const partitions = layout.partitions.map((each) => ({ ...each, path: String(each.number) }));
  const count = `${partitions.length} partition${partitions.length === 1 ? '' : 's'}`;
  const table = `${layout.kind === 'gpt' ? 'a GPT' : 'an MBR'} with ${count}`;
  if (!isRoot) {
    findings.ok('image', `it has ${table}`);
  } else {
    const root = rootDevice({ device: '', kind: layout.kind, partitions }, architecture);
    findings.ok('image', `it has ${table}, of which number ${root} is the root`);
  }
  return undefined;
}

/** What is wrong with an image is told of its URL. */
function requireContentAt(shown: string, start: Uint8Array, type: FileType, compression: Compression): void {
  try {
    requireContent(start, type, compression);
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    throw new RdpullError(error.code, `${shown}: ${error.message}`, error.hint, { cause: error });
  }
}

/** As much as the first bytes of a file hold of what is in it. */
function decodedStart(served: Uint8Array, compression: Compression): Uint8Array {
  const codec = codecFor(compression);
  if (codec === undefined) return compression === 'none' ? served : new Uint8Array(0);
  try {
    const output = new Uint8Array(CONTENT_START_BYTES * 2);
    let filled = 0;
    codec.begin();
    for (let taken = 0; filled < output.length; ) {
      const { consumed, produced, ended } = codec.step(
        served.subarray(taken),
        output.subarray(filled),
        false,
      );
      taken += consumed;
      filled += produced;
      if (ended || (consumed === 0 && produced === 0)) break;
    }
    return output.subarray(0, filled);
  } finally {
    codec.close();
  }
}

/** bzip2 says nothing before 900 kB are there. */
function codecFor(compression: Compression): MemberCodec | undefined {
  switch (compression) {
    case 'xz':
      return openXzCodec(0);
    case 'gzip':
      return openGzipCodec();
    case 'zstd':
      return openZstdCodec();
    case 'bzip2':
    case 'none':
      return undefined;
  }
}
