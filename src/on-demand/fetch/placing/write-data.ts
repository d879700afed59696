import fs from 'node:fs';
import { dataIn } from '../../../transfer/sink/data-in.ts';

/**
 * Writes bytes to where they belong in a file that is empty there: what is zeros stays a hole.
 *
 * @throws Error of write(2)
 */
export function writeData(fd: number, chunk: Uint8Array, offset: number): void {
  for (const { start, end } of dataIn(chunk, offset)) {
    for (let at = start; at < end; ) at += fs.writeSync(fd, chunk, at, end - at, offset + at);
  }
}
