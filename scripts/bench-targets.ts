import type { Format } from './bench-inputs.ts';
import { PIPELINE, SYSTEMD_252, SYSTEMD_262 } from './bench-peers.ts';

/** What rdpull's wall time is to be at most, as a part of a peer's: measured on two cores. */
export const TARGETS: Readonly<Record<Format, Readonly<Record<string, number>>>> = {
  'xz-single': { [SYSTEMD_262]: 0.9, [SYSTEMD_252]: 0.75, [PIPELINE]: 0.8 },
  'xz-multi': { [SYSTEMD_262]: 0.45, [SYSTEMD_252]: 0.35, [PIPELINE]: 0.8 },
  'xz-multi-6': { [SYSTEMD_262]: 0.45, [SYSTEMD_252]: 0.35, [PIPELINE]: 0.8 },
  zstd: { [SYSTEMD_262]: 0.7, [PIPELINE]: 1 },
  gzip: { [SYSTEMD_262]: 0.7, [PIPELINE]: 1 },
  raw: { [SYSTEMD_262]: 1, [PIPELINE]: 1 },
};

/** Of the slowest thing that nobody can do without: downloading, hashing, decompressing. */
export const LIMIT_TARGET = 1.15;

/** Of systemd-pull 262's, both on one core; and on one that is emulated. */
export const ONE_CORE_TARGET = 0.85;
export const EMULATED_TARGET = 1;

/** Of GNU tar's, unpacking the same tarball from a local file. */
export const TAR_TARGET = 1.15;

/** Of an empty Bun executable's, for a pull of 1 KiB. */
export const START_TARGET = 2;

/** How much faster each further core is to make the decoding of blocks: with all of them as many times as one, times this. */
export const SCALING_TARGET = 0.85;

/** Of a download of the same image: an image on demand is complete, when nobody reads it. */
export const FILL_TARGET = 1.15;

/** Of the same image as one stream of zstd, from the same server: an image in chunks, fetched whole, by the average size of a chunk in KiB. */
export const CHUNK_TARGETS: Readonly<Record<number, number>> = { 16: 1.6, 64: 1.6, 256: 1.2, 1024: 1.2 };

/** Of a loop device on a tmpfs: the time of a sequential read of an image on demand, of what is there. */
export const SEQUENTIAL_TARGET = 2;
