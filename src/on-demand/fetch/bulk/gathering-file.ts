import { writeData } from '../placing/write-data.ts';

/** Bytes of a file. */
export interface GatheredPart {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** A file that is written many chunks at a time: a write for each small one would cost more than the chunk. */
export interface GatheringFile {
  /** Memory for so many bytes, until the next {@link write}. @returns undefined when there is none left */
  place(length: number): Uint8Array | undefined;
  /**
   * Writes parts that lie in that memory, those that follow each other in it and in the file at once, and gives all of it back.
   *
   * @throws Error of write(2): then none of them is to be counted upon
   */
  write(parts: readonly GatheredPart[]): void;
}

/** @param room bytes of memory; a longer chunk takes as many as it needs, alone */
export function createGatheringFile(fd: number, room: number): GatheringFile {
  let memory = Buffer.alloc(room);
  let filled = 0;

  const writeRun = (start: number, from: number, to: number) =>
    writeData(fd, memory.subarray(from, to), start);

  return {
    place(length) {
      if (filled > 0 && filled + length > memory.length) return undefined;
      if (memory.length < length) memory = Buffer.alloc(length);
      filled += length;
      return memory.subarray(filled - length, filled);
    },
    write(parts) {
      filled = 0;
      /** What is beside each other in the memory and in the file alike. */
      let run: { start: number; from: number; to: number } | undefined;
      for (const { start, bytes } of parts) {
        const from = bytes.byteOffset - memory.byteOffset;
        if (run !== undefined && run.to === from && run.start + (run.to - run.from) === start) {
          run.to += bytes.length;
          continue;
        }
        if (run !== undefined) writeRun(run.start, run.from, run.to);
        run = { start, from, to: from + bytes.length };
      }
      if (run !== undefined) writeRun(run.start, run.from, run.to);
    },
  };
}
