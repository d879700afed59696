import fs from 'node:fs';
import type { RangedFile } from '../../blocks/block-map.ts';
import {
  parseQcow2Header,
  QCOW2_HEADER_BYTES,
  type Qcow2Header,
  qcow2Corrupt,
} from '../../blocks/qcow2-header.ts';
import { punchHole } from '../../kernel/punch-hole.ts';

/** A qcow2 image on this machine. */
export interface Qcow2File extends RangedFile, Disposable {
  readonly header: Qcow2Header;
  /** Reads a part of it at once. */
  readAt(offset: number, into: Uint8Array): void;
  /** Gives back the room of a part that nobody needs; false where the file system cannot do that. */
  release(offset: number, length: number): boolean;
}

/**
 * @throws RdpullError stream-unsupported, stream-corrupt
 * @throws Error of Node's fs
 */
export function openQcow2File(path: string): Qcow2File {
  const fd = fs.openSync(path, 'r+');
  try {
    const { size } = fs.fstatSync(fd);
    const start = Buffer.alloc(Math.min(size, QCOW2_HEADER_BYTES));
    readAll(fd, 0, start);
    return {
      size,
      header: parseQcow2Header(start),
      async read(offset, length) {
        const bytes = new Uint8Array(length);
        readAll(fd, offset, bytes);
        return bytes;
      },
      readAt: (offset, into) => readAll(fd, offset, into),
      release: (offset, length) => punchHole(fd, offset, length),
      [Symbol.dispose]: () => fs.closeSync(fd),
    };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

function readAll(fd: number, offset: number, into: Uint8Array): void {
  for (let filled = 0; filled < into.length; ) {
    const count = fs.readSync(fd, into, filled, into.length - filled, offset + filled);
    if (count === 0) throw qcow2Corrupt('it ends too early');
    filled += count;
  }
}
