import { run } from '../fixtures/run.ts';

/** One entry of a seek table. */
export interface Frame {
  readonly stored: number;
  readonly length: number;
  readonly checksum: number;
}

/**
 * The seek table of contrib/seekable_format/zstd_seekable_compression_format.md (zstd, version 0.1.0), of which no packaged
 * tool makes one.
 */
export function seekTable(frames: readonly Frame[], hasChecksums: boolean): Buffer {
  const entry = hasChecksums ? 12 : 8;
  const table = Buffer.alloc(8 + frames.length * entry + 9);
  table.writeUInt32LE(0x184d2a5e, 0);
  table.writeUInt32LE(table.length - 8, 4);
  for (const [index, { stored, length, checksum }] of frames.entries()) {
    const at = 8 + index * entry;
    table.writeUInt32LE(stored, at);
    table.writeUInt32LE(length, at + 4);
    if (hasChecksums) table.writeUInt32LE(checksum, at + 8);
  }
  const footer = table.length - 9;
  table.writeUInt32LE(frames.length, footer);
  table.writeUInt8(hasChecksums ? 0x80 : 0, footer + 4);
  table.writeUInt32LE(0x8f92eab1, footer + 5);
  return table;
}

/** The pieces of an image as zstd(1) compresses each of them, with a seek table behind them. */
export function seekableZstd(pieces: readonly Uint8Array[], hasChecksums: boolean, options = ['-3']): Buffer {
  const frames = pieces.map((piece) => run(['zstd', '-q', '-c', ...options], { input: piece }));
  const entries = frames.map((frame, index) => {
    const piece = pieces[index] ?? new Uint8Array(0);
    return { stored: frame.length, length: piece.length, checksum: contentChecksum(piece) };
  });
  return Buffer.concat([...frames, seekTable(entries, hasChecksums)]);
}

/** RFC 8878, section 3.1.1: `Content_Checksum`, the low 32 bits of XXH64, ends the frame that zstd(1) makes with `--check`. */
function contentChecksum(piece: Uint8Array): number {
  const frame = run(['zstd', '-q', '-c', '--check', '-1'], { input: piece });
  return frame.readUInt32LE(frame.length - 4);
}
