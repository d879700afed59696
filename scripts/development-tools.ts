/** Blanks what the runtime brings for its bundler, test runner and checkers: compressed sources, none of which a program reads. */
import { dlopen, ptr } from 'bun:ffi';
import { readOnlyData } from './elf.ts';

/** RFC 8878, section 3.1.1 */
const ZSTD_MAGIC = Buffer.from('28b52ffd', 'hex');
/** Before it lie the items of ICU, which are frames as well. */
const ZSTD_DICTIONARY = Buffer.from('37a430ec', 'hex');
/** zstd.h; above it there is only ZSTD_CONTENTSIZE_UNKNOWN. */
const ZSTD_CONTENTSIZE_ERROR = 0xfffffffffffffffen;

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
  // That of the machine that builds: dpkg needs it as well.
  const { symbols: zstd } = dlopen('libzstd.so.1', {
    ZSTD_getFrameContentSize: { args: ['ptr', 'u64'], returns: 'u64' },
    ZSTD_findFrameCompressedSize: { args: ['ptr', 'u64'], returns: 'u64' },
    ZSTD_isError: { args: ['u64'], returns: 'u32' },
  });
  const saysItsContentSize = (frame: Buffer) =>
    BigInt.asUintN(64, BigInt(zstd.ZSTD_getFrameContentSize(ptr(frame), frame.length))) <
    ZSTD_CONTENTSIZE_ERROR;
  let blanked = 0;
  let at = constants.indexOf(ZSTD_MAGIC, constants.indexOf(ZSTD_DICTIONARY));
  while (at >= 0) {
    const rest = constants.subarray(at);
    const found = zstd.ZSTD_findFrameCompressedSize(ptr(rest), rest.length);
    // Four bytes of something else, perhaps, with which a frame seems to begin: on arm64, in a table of such numbers, one of
    // 902,486 bytes. All of these say how much they hold.
    const isFrame = zstd.ZSTD_isError(found) === 0 && saysItsContentSize(rest);
    const size = isFrame ? Number(found) : 0;
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
