import fs from 'node:fs';
import { reasonOf } from '../../console/rdpull-error.ts';
import { imageBytes } from '../../expose/image-bytes.ts';
import { identifyImage } from '../../expose/image-layout.ts';
import { reasonWithoutPath } from '../../kernel/system-error.ts';
import type { FileState } from '../file-state.ts';
import type { ServedDirectory } from '../served-directory.ts';
import { exportNqn } from './export-name.ts';
import { type ExportedFile, USUAL_SECTOR } from './namespace-device.ts';

/** Read-only for any number of machines, or writable for one. */
export type ExportMode = 'ro' | 'rw';

/** A file that is to be exported. */
export interface RawImage {
  /** From the directory that is served. */
  readonly path: string;
  readonly names: readonly string[];
  readonly nqn: string;
  /** In bytes. */
  readonly size: number;
  readonly state: FileState;
}

/** A file that looks like an image, and is not exported. */
export interface LeftImage {
  readonly path: string;
  readonly why: string;
}

/** What is exported of a directory: this deep, and so many. */
const DEPTH_MAX = 8;
const IMAGES_MAX = 256;

const RAW = /\.raw$/i;
const COMPRESSED = /\.raw\.(?:xz|zst|gz|bz2)$/i;

/** The images in a directory and below, sorted by path, as far as their names say what they are. */
export function rawImages(directory: ServedDirectory): { images: RawImage[]; left: LeftImage[] } {
  const images: RawImage[] = [];
  const left: LeftImage[] = [];
  const look = (names: readonly string[]) => {
    const entries = directory.list(names) ?? [];
    const plain = new Set(entries.map(({ name }) => name));
    for (const { name, kind, state } of entries) {
      const here = [...names, name];
      const path = here.join('/');
      if (kind === 'directory') {
        if (here.length < DEPTH_MAX) look(here);
      } else if (COMPRESSED.test(name)) {
        const unpacked = name.replace(/\.\w+$/, '');
        if (!plain.has(unpacked)) left.push({ path, why: `it is compressed, and ${unpacked} is not here` });
      } else if (RAW.test(name)) {
        const nqn = exportNqn(path);
        if (nqn === undefined) {
          left.push({
            path,
            why: 'its path is too long, or has other characters than A-Z a-z 0-9 . _ + @ = ~ -',
          });
        } else if (images.length >= IMAGES_MAX) {
          left.push({ path, why: `${IMAGES_MAX} images are exported already` });
        } else {
          images.push({ path, names: here, nqn, size: state.size, state });
        }
      }
    }
  };
  look([]);
  return { images, left };
}

/** An image, open, and what its content is known by. Whoever has it closes it. */
export interface OpenImage extends Disposable {
  readonly file: ExportedFile;
  /** The same only for the same content; of one that is written to, for the same file. */
  readonly content: string;
}

/** Opens an image, or says why it cannot be exported. */
export function openImage(directory: ServedDirectory, image: RawImage, mode: ExportMode): OpenImage | string {
  const found = directory.open(image.names);
  if (found.kind !== 'file') return 'why' in found ? found.why : 'it is no file any more';
  let fd = found.fd;
  try {
    const { sectorSize } = identifyImage(imageBytes(fd), image.path);
    if (mode === 'ro' && sectorSize !== USUAL_SECTOR) {
      fs.closeSync(fd);
      return `its partition table is for sectors of ${sectorSize} bytes, and read-only there are only those of ${USUAL_SECTOR}`;
    }
    if (mode === 'rw') {
      const readable = fd;
      // The file that was judged, whatever has its name now.
      fd = fs.openSync(`/proc/self/fd/${readable}`, fs.constants.O_RDWR);
      fs.closeSync(readable);
    }
    const { ino, birthtimeNs, size, mtimeNs } = fs.fstatSync(fd, { bigint: true });
    const content = [ino, birthtimeNs, ...(mode === 'ro' ? [size, mtimeNs] : [])].join(':');
    const open = fd;
    return {
      file: { fd, isWritable: mode === 'rw', sectorSize },
      content,
      [Symbol.dispose]: () => fs.closeSync(open),
    };
  } catch (error) {
    fs.closeSync(fd);
    return error instanceof Error && 'code' in error ? reasonWithoutPath(error) : reasonOf(error);
  }
}
