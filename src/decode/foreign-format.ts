import { hasMagic } from '../source/magic-number.ts';

/**
 * Formats of images that rdpull does not read: written as they are, none of them could ever boot. This is the one table
 * of them.
 */
export interface ForeignFormat {
  /** With its article: "a VMDK image". */
  readonly name: string;
  /** What to try, with the command that makes of it what rdpull reads: "convert it: lzip ...". */
  readonly remedy: string;
}

interface Row extends ForeignFormat {
  readonly begins: (start: Uint8Array) => boolean;
}

/** Bytes of a file's start that {@link recogniseForeignFormat} wants to see (fewer only when it is shorter). */
export const FOREIGN_FORMAT_BYTES = 512;
/** Bytes of its end that {@link recogniseForeignEnd} wants to see. */
export const FOREIGN_END_BYTES = 512;

/** A fixed VHD: the image itself, and behind it a footer (Virtual Hard Disk Image Format Specification 1.0). */
const FIXED_VHD: ForeignFormat = {
  name: 'a VHD image of fixed size',
  remedy: 'convert it: qemu-img convert -f vpc -O raw IMAGE.vhd IMAGE.raw',
};
const VHD_COOKIE = magic('conectix');

/** The magic number of each format, from its specification or its own tools: the name of a file never decides. */
const FORMATS: readonly Row[] = [
  // Compressions.
  packed('an lzip file', magic('LZIP'), 'lzip -dc IMAGE.lz'),
  packed('a file of compress', magic('\x1f\x9d'), 'gzip -dc IMAGE.Z'),
  packed('an lzop file', magic('\x89LZO\0\r\n\x1a\n'), 'lzop -dc IMAGE.lzo'),
  packed('an lrzip file', magic('LRZI'), 'lrzip -q -d -o - IMAGE.lrz'),
  packed('an lzma file', isLzmaAlone, 'xz --format=lzma -dc IMAGE.lzma'),
  packed('an lz4 stream', magic('\x04\x22\x4d\x18'), 'lz4 -dc IMAGE.lz4'),
  packed('an lz4 stream of the old format', magic('\x02\x21\x4c\x18'), 'lz4 -dc IMAGE.lz4'),
  // zstd before 0.8 had a magic number for each version; Debian's zstd reads 0.5 and later.
  packed('a zstd stream of a version before 0.8', isOldZstd, 'zstd -dc IMAGE.zst'),
  // Archives.
  packed('a 7z archive', magic("7z\xbc\xaf'\x1c"), '7z x -so IMAGE.7z'),
  packed('a zip archive', magic('PK\x03\x04'), '7z x -so IMAGE.zip'),
  // Containers of virtual machines.
  container('a VMDK image', magic('KDMV'), 'vmdk'),
  container('a VMDK image', magic('COWD'), 'vmdk'),
  container('the descriptor of a VMDK image', magic('# Disk DescriptorFile'), 'vmdk'),
  container('a VHDX image', magic('vhdxfile'), 'vhdx'),
  container('a VHD image', VHD_COOKIE, 'vhd'),
  container('a VDI image', magic('\x7f\x10\xda\xbe', 64), 'vdi'),
  container('a QED image', magic('QED\0'), 'qed'),
  container('a Parallels image', magic('WithoutFreeSpace'), 'hdd'),
  container('a Parallels image', magic('WithouFreSpacExt'), 'hdd'),
  {
    name: 'an Android sparse image',
    begins: magic('\x3a\xff\x26\xed'),
    remedy: 'convert it: simg2img IMAGE.simg IMAGE.raw',
  },
  {
    name: 'a zstd dictionary',
    begins: magic('\x37\xa4\x30\xec'),
    remedy: 'serve the image itself, compressed without it: zstd IMAGE.raw',
  },
];

/** The format of a file that begins with `start`, when it is one of those that rdpull does not read. */
export function recogniseForeignFormat(start: Uint8Array): ForeignFormat | undefined {
  return FORMATS.find(({ begins }) => begins(start));
}

/** The same for those that only the end tells, from the last {@link FOREIGN_END_BYTES} of a file. */
export function recogniseForeignEnd(end: Uint8Array): ForeignFormat | undefined {
  return VHD_COOKIE(end) ? FIXED_VHD : undefined;
}

function packed(name: string, begins: Row['begins'], decompress: string): Row {
  return { name, begins, remedy: `convert it: ${decompress} | xz -T0 > IMAGE.xz` };
}

function container(name: string, begins: Row['begins'], suffix: string): Row {
  return { name, begins, remedy: `convert it: qemu-img convert -O raw IMAGE.${suffix} IMAGE.raw` };
}

/** @param characters one for each byte */
function magic(characters: string, offset = 0): Row['begins'] {
  return (start) => hasMagic(start, characters, offset);
}

function isOldZstd(start: Uint8Array): boolean {
  const [version = 0] = start;
  // v0.1 in the other byte order: lib/legacy/zstd_v01.c of zstd.
  if (version === 0xfd) return hasMagic(start, '\x2f\xb5\x1e', 1);
  return version >= 0x22 && version <= 0x27 && hasMagic(start, '\xb5\x2f\xfd', 1);
}

/** Properties, dictionary size, uncompressed size, and the first byte of the range coder, which is 0. */
const LZMA_HEADER = { properties: 0, dictionary: 1, size: 5, data: 13, bytes: 14 } as const;
/** lc=3, lp=0, pb=2: what every tool writes. */
const LZMA_PROPERTIES = 0x5d;
/** lc + lp * 9 + pb * 45, each as large as it may be: what is more is no .lzma file at all. */
const LZMA_SIZE_MAX = 2n ** 38n;

/**
 * .lzma has no magic number (lzma-file-format.txt of XZ Utils): taken for one is only what has all that the usual tools
 * write: the usual properties, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and a size below 256 GiB, or none.
 */
function isLzmaAlone(start: Uint8Array): boolean {
  if (start.length < LZMA_HEADER.bytes || start[LZMA_HEADER.properties] !== LZMA_PROPERTIES) return false;
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const dictionary = view.getUint32(LZMA_HEADER.dictionary, true);
  const size = view.getBigUint64(LZMA_HEADER.size, true);
  const ones = dictionary.toString(2).replace(/0+$/, '');
  return (
    (ones === '1' || ones === '11') &&
    dictionary >= 4096 &&
    (size === 2n ** 64n - 1n || size < LZMA_SIZE_MAX) &&
    start[LZMA_HEADER.data] === 0
  );
}
