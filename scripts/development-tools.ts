/** Blanks what the runtime brings for its bundler, test runner and checkers: compressed sources, none of which a program reads. */
import { dlopen, ptr } from 'bun:ffi';
import path from 'node:path';
import { readOnlyData } from './elf.ts';

/** RFC 8878, section 3.1.1 */
const ZSTD_MAGIC = Buffer.from('28b52ffd', 'hex');
/** Before it lie the items of ICU, which are frames as well. */
const ZSTD_DICTIONARY = Buffer.from('37a430ec', 'hex');

/**
 * What the frames of Bun 1.4.5 come to, in bytes: the pages that its development server shows, the shells' completions of `bun`,
 * names of packages, TypeScript's declarations of libraries, stand-ins for `node:*` in browsers, the rules of its linter
 * and their documentation. Where it is another number, see what there is now.
 */
const BYTES = 1_072_684;

/**
 * Overwrites the frames with zeros, which take no room in a packed initrd. As random bytes in the middle of other constants
 * they are 3 % of what the executable adds to one.
 *
 * @param executable changed in place
 * @throws Error when there are others than expected
 */
export function blankDevelopmentTools(executable: Buffer): void {
  const constants = readOnlyData(executable);
  const { symbols: zstd } = dlopen(path.resolve(import.meta.dir, '../dist/libraries/libzstd.so'), {
    ZSTD_findFrameCompressedSize: { args: ['ptr', 'u64'], returns: 'u64' },
    ZSTD_isError: { args: ['u64'], returns: 'u32' },
  });
  let blanked = 0;
  let at = constants.indexOf(ZSTD_MAGIC, constants.indexOf(ZSTD_DICTIONARY));
  while (at >= 0) {
    const rest = constants.subarray(at);
    const found = zstd.ZSTD_findFrameCompressedSize(ptr(rest), rest.length);
    // Four bytes of something else, perhaps.
    const size = zstd.ZSTD_isError(found) === 0 ? Number(found) : 0;
    constants.fill(0, at, at + size);
    blanked += size;
    at = constants.indexOf(ZSTD_MAGIC, at + Math.max(size, 1));
  }
  if (blanked !== BYTES) {
    throw new Error(
      `the runtime (Bun ${Bun.version}) has ${blanked} bytes of compressed constants, and not ${BYTES}: see what they are now`,
    );
  }
}
