import type { Decoder, DecoderContext } from './decoder.ts';

/** No compression at all: the bytes as served are the bytes of the object. */
export function openStoredDecoder({ sink }: DecoderContext): Decoder {
  return { write: async (input) => sink.write(input), finish: async () => undefined, close: () => undefined };
}
