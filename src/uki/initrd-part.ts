import type { MemberCodec } from '../decode/member-decoder.ts';
import type { CpioReader } from './cpio-archive.ts';
import { malformedUki } from './malformed-uki.ts';

/** One part of an initrd: archives as they are, or compressed together. */
export interface InitrdPart {
  /**
   * Takes the next bytes, the last ones of the initrd or not; says how many of them belong to the part, and whether it is over.
   *
   * @throws RdpullError uki-malformed, and those of the decoders
   */
  feed(input: Uint8Array, last: boolean): { readonly taken: number; readonly ended: boolean };
  close(): void;
}

/** Is told how many bytes more there are after decompression. */
export type Count = (bytes: number) => void;

/** Archives as they are. */
export function openPlainPart(reader: CpioReader, count: Count): InitrdPart {
  return {
    feed(input, last) {
      const taken = reader.write(input);
      count(taken);
      if (last && !reader.isBetween) throw malformedUki('its initrd ends in the middle of an archive');
      return { taken, ended: taken < input.length };
    },
    close: () => undefined,
  };
}

/**
 * Archives that are compressed together. The part closes the codec.
 *
 * @param output takes what comes out, a piece at a time
 */
export function openPackedPart(
  reader: CpioReader,
  codec: MemberCodec,
  output: Uint8Array,
  count: Count,
): InitrdPart {
  codec.begin();

  function unpack(produced: number): void {
    count(produced);
    if (reader.write(output.subarray(0, produced)) < produced) {
      throw malformedUki('in its initrd, something that is no archive is behind an archive');
    }
  }

  return {
    feed(input, last) {
      let taken = 0;
      for (;;) {
        const { consumed, produced, ended } = codec.step(input.subarray(taken), output, last);
        taken += consumed;
        unpack(produced);
        if (ended) {
          if (!reader.isBetween) throw malformedUki('an archive in its initrd is not complete');
          return { taken, ended };
        }
        const isStuck = consumed === 0 && produced === 0;
        const isStarved = taken === input.length && produced < output.length;
        if (isStarved && !last) return { taken, ended };
        if (isStuck) {
          const defect = isStarved ? 'ends too early' : 'is damaged';
          throw malformedUki(`the ${codec.format} stream of its initrd ${defect}`);
        }
      }
    },
    close: () => codec.close(),
  };
}
