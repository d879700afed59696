import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { quotedUrl } from '../console/shown-url.ts';
import type { FileType, ImageType } from './image-class.ts';
import { lastComponent } from './url.ts';

/** A file name's limit in bytes (linux/limits.h: NAME_MAX). */
const NAME_MAX = 255;

const RAW_SUFFIXES = [
  '.xz',
  '.gz',
  '.bz2',
  '.zst',
  '.sysext.raw',
  '.confext.raw',
  '.raw',
  '.qcow2',
  '.img',
  '.bin',
  // Of ours alone: systemd reads no index.
  '.caibx',
];

const TAR_SUFFIXES = ['.tar', '.tar.xz', '.tar.gz', '.tar.bz2', '.tar.zst', '.tgz'];

/** Why `name` cannot be a local image's name, as the end of a sentence that starts with it; undefined if it can. */
export function imageNameDefect(name: string): string | undefined {
  if (name === '') return 'is empty';
  if (name === '.' || name === '..') return 'means a directory';
  if (name.includes('/')) return 'contains a slash';
  if (name.startsWith('.#')) return 'starts with ".#", which marks temporary files';
  if (/[\x00-\x1f\x7f]/.test(name)) return 'contains a control character';
  // Whoever decoded the bytes has put U+FFFD in place of what was not UTF-8.
  if (!name.isWellFormed() || name.includes('\ufffd')) return 'is not valid UTF-8';
  // At most three bytes of UTF-8 for each UTF-16 unit: most names need not be measured.
  const bytes = name.length * 3 > NAME_MAX ? Buffer.byteLength(name) : name.length;
  if (bytes > NAME_MAX) return `is ${bytes} bytes long, ${NAME_MAX} is the limit`;
  return undefined;
}

/** Whether a URL names the index of an image in chunks, as casync and desync call it. */
export function isChunkIndexUrl(url: string): boolean {
  return isChunkIndexName(lastComponent(url) ?? '');
}

/** Whether a file is the index of an image in chunks, by its name. */
export function isChunkIndexName(fileName: string): boolean {
  return /\.caibx$/i.test(fileName);
}

/** A file called like a tarball is one; everything else is a disk image. */
export function imageTypeOf(fileName: string): FileType {
  return /\.(?:tar(?:\.[a-z0-9]+)?|tgz|txz|tbz2?|tzst)$/i.test(fileName) ? 'tar' : 'raw';
}

/**
 * A server's file name without what says how it is packed, as systemd strips it: of a raw image all known suffixes,
 * of a tar image exactly one. May leave nothing.
 */
export function stripImageSuffixes(fileName: string, type: ImageType): string {
  if (type === 'tar') {
    const suffix = TAR_SUFFIXES.find((candidate) => fileName.endsWith(candidate));
    return suffix === undefined ? fileName : fileName.slice(0, -suffix.length);
  }
  let name = fileName;
  for (;;) {
    const before = name;
    for (const suffix of RAW_SUFFIXES) {
      if (name.endsWith(suffix)) name = name.slice(0, -suffix.length);
    }
    if (name === before) return name;
  }
}

/**
 * The local name for an image that was given none: from the last component of its URL.
 *
 * @throws RdpullError bad-image-name when the URL yields no valid name, bad-url when it has no host
 */
export function deriveImageName(url: string, type: ImageType): string {
  const fileName = lastComponent(url);
  const name = fileName === undefined ? undefined : stripImageSuffixes(fileName, type);
  const defect = name === undefined ? undefined : imageNameDefect(name);
  if (name !== undefined && defect === undefined) return name;
  throw new RdpullError(
    'bad-image-name',
    `no local name can be derived from ${quotedUrl(url)}: ` +
      (name === undefined ? 'it names no file' : `${quoted(name)}, which is what remains of it, ${defect}`),
    'give the local name yourself',
  );
}
