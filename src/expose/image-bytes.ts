import fs from 'node:fs';

/** Random access to an image's bytes, for recognising what it holds. */
export interface ImageBytes {
  /** Bytes. */
  readonly size: number;
  /** `length` bytes from `offset`, fewer where the image ends first. */
  read(offset: number, length: number): Buffer;
}

export function imageBytes(fd: number): ImageBytes {
  return {
    size: fs.fstatSync(fd).size,
    read(offset, length) {
      const buffer = Buffer.alloc(length);
      let filled = 0;
      while (filled < length) {
        const count = fs.readSync(fd, buffer, filled, length - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return buffer.subarray(0, filled);
    },
  };
}
