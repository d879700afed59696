import { BLOCK_SIZE } from '../../../decode/tar-block.ts';
import { printableName } from './printable-name.ts';
import { malformed, trailingData, truncated } from './tar-error.ts';
import type { TarInput } from './tar-input.ts';

/**
 * Knows where in the archive the reader is, and what may be its end: at least one block of zeros, as for GNU tar. Another
 * archive may follow, as in `cat a.tar b.tar` and after `tar --concatenate`.
 */
export class ArchiveEnd {
  #members = 0;
  /** The path of the last member, a copy: errors name it after the next chunk has come. Its memory serves all members in turn. */
  #lastPath = new Uint8Array(256);
  #lastPathLength = 0;
  /** Blocks of zeros since the last header. */
  #zeroBlocks = 0;

  /** The last member, printable. */
  get lastMember(): string {
    return printableName(this.#lastPath.subarray(0, this.#lastPathLength));
  }

  memberBegins(path: Uint8Array): void {
    this.#members++;
    if (path.length > this.#lastPath.length) this.#lastPath = new Uint8Array(2 * path.length);
    this.#lastPath.set(path);
    this.#lastPathLength = path.length;
  }

  zeroBlock(): void {
    this.#zeroBlocks++;
  }

  /** What was found are no zeros behind the end, but a header or data. */
  goesOn(): void {
    this.#zeroBlocks = 0;
  }

  /** What to say of a block that ought to be a header and is none. */
  noHeader(block: Uint8Array, input: TarInput): Error {
    const position = input.position - BLOCK_SIZE;
    if (this.#zeroBlocks > 0) return this.#trailing(position + firstByte(block));
    if (position === 0) {
      return malformed('the file is not a tar archive (its first header block has a wrong checksum)');
    }
    return malformed(
      `the tar archive is damaged: at byte ${position}, after ${this.lastMember}, there is no header`,
    );
  }

  /** What to say when the bytes end where they must not. */
  endsEarly(input: TarInput): Error {
    return truncated(
      `the tar archive ends early: after ${input.bytes} bytes, after ${this.#members} members, without its end-of-archive marker`,
    );
  }

  endsWithinFile(input: TarInput, missing: number): Error {
    return truncated(
      `the tar archive ends early: after ${input.bytes} bytes, within the file ${this.lastMember}, ${missing} bytes of which are missing`,
    );
  }

  /**
   * The bytes have ended where a header could be.
   *
   * @param isVouchedFor whether a promised digest says that these are all bytes: then the marker may be missing
   * @throws RdpullError `stream-truncated`, `stream-trailing-data`, `tar-malformed`
   */
  requireEnd(input: TarInput, isVouchedFor: boolean): void {
    const rest = input.partialBlock;
    if (this.#zeroBlocks > 0) {
      const at = firstByte(rest);
      if (at < rest.length) throw this.#trailing(input.bytes - rest.length + at);
      return;
    }
    if (input.bytes < BLOCK_SIZE) {
      throw malformed(`the file is not a tar archive: it is only ${input.bytes} bytes long`);
    }
    if (rest.length > 0 || !isVouchedFor) throw this.endsEarly(input);
  }

  #trailing(position: number): Error {
    if (this.#members === 0)
      return malformed('the file is not a tar archive (it begins with a block of zeros)');
    return trailingData(
      `the tar archive ends after ${this.#members} members, but other data follow its end at byte ${position}`,
    );
  }
}

/** Where the first byte is that is not zero. */
function firstByte(bytes: Uint8Array): number {
  const at = bytes.findIndex((byte) => byte !== 0);
  return at === -1 ? bytes.length : at;
}
