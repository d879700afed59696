import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** Bytes of a file's start in which its header, and the names of its features, lie (qemu-img writes 504 at most). */
export const QCOW2_HEADER_BYTES = 512;

/** QEMU, docs/interop/qcow2.txt: where the fields of the header begin; its numbers are big-endian. */
const HEADER = {
  version: 4,
  backing_file_offset: 8,
  cluster_bits: 20,
  size: 24,
  crypt_method: 32,
  l1_size: 36,
  l1_table_offset: 40,
  incompatible_features: 72,
  header_length: 100,
  compression_type: 104,
} as const;
/** Bytes of the header of version 2, and the least of version 3's. */
const VERSION_2_BYTES = 72;
const VERSION_3_BYTES = 104;

/** `incompatible_features`. The dirty bit says that reference counts may be wrong: nobody reads them here. */
const DIRTY = 1n << 0n;
const CORRUPT = 1n << 1n;
const EXTERNAL_DATA_FILE = 1n << 2n;
const COMPRESSION_TYPE = 1n << 3n;
const EXTENDED_L2_ENTRIES = 1n << 4n;
const KNOWN = DIRTY | CORRUPT | EXTERNAL_DATA_FILE | COMPRESSION_TYPE | EXTENDED_L2_ENTRIES;

/** Header extension: names of features, 48 bytes each. */
const FEATURE_NAME_TABLE = 0x6803f857;
const FEATURE_NAME_BYTES = 48;

/** "qemu as of today has an implementation limit of 2 MB", and one of 32 MB for an L1 table. */
const CLUSTER_BITS = { least: 9, leastExtended: 14, most: 21 } as const;
const MAX_L1_ENTRIES = (32 * 1024 * 1024) / 8;
/** Of QEMU's `BDRV_SECTOR_SIZE`: it makes no images of other sizes, and reads them as shorter ones. */
const SECTOR_BYTES = 512;

/** What has to be known of a qcow2 image to find its bytes. */
export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  /** Bytes of the image that is inside. */
  readonly size: number;
  /** Where the table of the tables of clusters begins, in bytes of the file. */
  readonly l1Offset: number;
  /** How its compressed clusters are compressed. */
  readonly compression: 'deflate' | 'zstd';
  /** Whether the entries of L2 tables tell of 32 parts of a cluster each. */
  readonly extendedL2: boolean;
}

/**
 * @param start the first {@link QCOW2_HEADER_BYTES} of a file that begins like one, or all of it
 * @throws RdpullError stream-unsupported when the image is not all there, or needs what rdpull cannot do; stream-corrupt
 */
export function parseQcow2Header(start: Uint8Array): Qcow2Header {
  const view = viewOf(start);
  if (start.length < VERSION_2_BYTES) throw qcow2Corrupt('its header is cut');
  const version = view.getUint32(HEADER.version);
  if (version !== 2 && version !== 3) throw unsupported(`version ${version} of the format`, MAKE_IT_NEW);
  if (view.getBigUint64(HEADER.backing_file_offset) !== 0n) {
    throw unsupported(
      'a backing file: what is served is only the difference to it',
      'make it whole: qemu-img convert -O qcow2 IMAGE.qcow2 WHOLE.qcow2',
    );
  }
  const method = view.getUint32(HEADER.crypt_method);
  if (method !== 0) {
    throw unsupported(
      `encryption (${method === 1 ? 'AES' : method === 2 ? 'LUKS' : `method ${method}`})`,
      'decrypt it with qemu-img convert, and let its file system be encrypted instead',
    );
  }
  const features = version === 2 ? PLAIN : parseFeatures(start);
  const clusterBits = view.getUint32(HEADER.cluster_bits);
  const least = features.extendedL2 ? CLUSTER_BITS.leastExtended : CLUSTER_BITS.least;
  if (clusterBits < least || clusterBits > CLUSTER_BITS.most) {
    throw qcow2Corrupt(`it says that its clusters have 2^${clusterBits} bytes`);
  }
  const size = Number(view.getBigUint64(HEADER.size));
  if (!Number.isSafeInteger(size) || size % SECTOR_BYTES !== 0) {
    throw qcow2Corrupt(`it says that its size is ${view.getBigUint64(HEADER.size)}`);
  }
  const l1Entries = view.getUint32(HEADER.l1_size);
  const l1Offset = Number(view.getBigUint64(HEADER.l1_table_offset));
  const needed = Math.ceil(size / bytesPerL2Table({ clusterBits, extendedL2: features.extendedL2 }));
  if (needed > MAX_L1_ENTRIES || needed > l1Entries || l1Offset % 2 ** clusterBits !== 0) {
    throw qcow2Corrupt('its L1 table is not what its size needs');
  }
  return { version, clusterBits, size, l1Offset, ...features };
}

/** Bytes of the image whose clusters are listed by one L2 table, which is one cluster itself. */
export function bytesPerL2Table({
  clusterBits,
  extendedL2,
}: Pick<Qcow2Header, 'clusterBits' | 'extendedL2'>): number {
  return 2 ** clusterBits * (2 ** clusterBits / (extendedL2 ? 16 : 8));
}

type Features = Pick<Qcow2Header, 'compression' | 'extendedL2'>;

const PLAIN: Features = { compression: 'deflate', extendedL2: false };

/** Of version 3. */
function parseFeatures(start: Uint8Array): Features {
  const view = viewOf(start);
  const length = start.length < VERSION_3_BYTES ? 0 : view.getUint32(HEADER.header_length);
  if (length < VERSION_3_BYTES || length % 8 !== 0) throw qcow2Corrupt('its header is cut');
  const features = view.getBigUint64(HEADER.incompatible_features);
  if (features & EXTERNAL_DATA_FILE) {
    throw unsupported(
      'an external data file: what is served has no data',
      'put it into one file: qemu-img convert -O qcow2 IMAGE.qcow2 WHOLE.qcow2',
    );
  }
  if (features & CORRUPT) {
    throw new RdpullError(
      'stream-corrupt',
      'the qcow2 image is marked as corrupt by the program that had it last',
      'look at it with: qemu-img check IMAGE.qcow2; and make it again',
    );
  }
  const unknown = features & ~KNOWN;
  if (unknown !== 0n)
    throw unsupported(`a feature that is not known: ${nameOf(unknown, start, length)}`, MAKE_IT_NEW);
  const isTyped = (features & COMPRESSION_TYPE) !== 0n;
  const type = length > HEADER.compression_type ? (start[HEADER.compression_type] ?? 0) : 0;
  if (isTyped !== (type !== 0)) throw qcow2Corrupt('its compression type contradicts its features');
  if (type > 1) throw unsupported(`compression of type ${type}`, MAKE_IT_NEW);
  return {
    compression: type === 1 ? 'zstd' : 'deflate',
    extendedL2: (features & EXTENDED_L2_ENTRIES) !== 0n,
  };
}

/** The first of some features, as the image itself calls it, or by its number. */
function nameOf(features: bigint, start: Uint8Array, headerLength: number): string {
  const bit = features.toString(2).length - 1;
  const view = viewOf(start);
  for (let at = headerLength; at + 8 <= start.length; ) {
    const type = view.getUint32(at);
    const end = Math.min(at + 8 + view.getUint32(at + 4), start.length);
    if (type === 0) break;
    for (let entry = at + 8; type === FEATURE_NAME_TABLE && entry + FEATURE_NAME_BYTES <= end; ) {
      const bytes = start.subarray(entry + 2, entry + FEATURE_NAME_BYTES);
      const name = Buffer.from(bytes).toString('latin1').split('\0', 1)[0] ?? '';
      if (start[entry] === 0 && start[entry + 1] === bit && name !== '') return `"${printable(name)}"`;
      entry += FEATURE_NAME_BYTES;
    }
    at = Math.ceil(end / 8) * 8;
  }
  return `incompatible feature ${bit}`;
}

const MAKE_IT_NEW = 'convert it on the server: qemu-img convert -O raw IMAGE.qcow2 IMAGE.raw';

function unsupported(what: string, hint: string): RdpullError {
  return new RdpullError('stream-unsupported', `the qcow2 image has ${what}`, hint);
}

export function qcow2Corrupt(reason: string): RdpullError {
  return new RdpullError(
    'stream-corrupt',
    `the qcow2 image is corrupt (${reason})`,
    'look at it with: qemu-img check IMAGE.qcow2; the file on the server is damaged or incomplete',
  );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
