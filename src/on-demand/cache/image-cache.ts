import fs from 'node:fs';
import { SharedMapping } from '../../kernel/shared-mapping.ts';
import { PresentPages } from './present-pages.ts';

/**
 * The bytes of an image that are there: a sparse file, and which of its pages count. What is no page of {@link present} may
 * be anything, as a block that is being decoded, or has failed its check.
 */
export class ImageCache implements Disposable {
  /** The file, for reading and writing: the descriptor is the caller's. */
  readonly fd: number;
  /** Bytes of the image. */
  readonly size: number;
  readonly present: PresentPages;
  /**
   * The file as memory. On tmpfs a page that is looked at through it is taken, a hole too: who only reads does better with
   * pread(2).
   */
  readonly mapping: SharedMapping;

  private constructor(fd: number, size: number) {
    this.fd = fd;
    this.size = size;
    this.present = new PresentPages(size);
    this.mapping = SharedMapping.open(fd, size, 'write');
  }

  /**
   * @param fd an empty file, opened for reading and writing; it becomes as long as the image, and takes no room for that
   * @param size bytes; at least 1
   * @throws SystemCallError, Error of Node's fs (EFBIG)
   */
  static open(fd: number, size: number): ImageCache {
    fs.ftruncateSync(fd, size);
    return new ImageCache(fd, size);
  }

  /** Ends the mapping, and leaves the file alone. */
  [Symbol.dispose](): void {
    this.mapping[Symbol.dispose]();
  }
}
