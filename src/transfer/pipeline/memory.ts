const MIB = 1024 * 1024;

/**
 * Bytes that a transfer may have resident when nobody says otherwise. The 24 MiB blocks of `xz -T0 -6` take 80 to 115 MiB
 * for each two of them, and the smallest machine that boots an image from RAM has several times that.
 */
export const DEFAULT_MEMORY = 288 * MIB;

/** With less, not even the program itself and one dictionary have room. */
export const LEAST_MEMORY = 96 * MIB;

/** What a transfer has resident beside the blocks that are decoded side by side: measured, see test/executable. */
const FIXED_BYTES = 112 * MIB;

/**
 * What is left of `memory` for decoding blocks side by side. Decoding one at a time is always possible: with 0 nothing
 * fails, it takes longer.
 */
export function threadingMemory(memory: number): number {
  return Math.max(0, memory - FIXED_BYTES);
}
