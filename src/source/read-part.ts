import { openSourceOnce } from './open-source.ts';
import { isOthersFailure } from './passing.ts';
import type { Source, SourceOptions } from './source.ts';

/**
 * How long a server may take to answer with a part of the file, in ms. The file itself is waiting meanwhile, and a server
 * that has but one thread is busy with that.
 */
const SILENCE = 5000;

/**
 * Reads a part of the file that `source` is, over a connection of its own. It is asked for once: who wants to know
 * something of the file beforehand can do without.
 *
 * @param from the first byte that is wanted
 * @param length how many
 * @returns undefined when the server sends something else, or nothing
 */
export async function readPart(
  source: Source,
  options: SourceOptions,
  from: number,
  length: number,
): Promise<Uint8Array | undefined> {
  const to = from + length - 1;
  let part: Source | undefined;
  try {
    part = await openSourceOnce(
      source.url,
      { ...options, silence: SILENCE },
      { from, to, validator: source.validator },
    );
    if (part.range?.from !== from || part.range.to !== to) return undefined;
    const bytes = new Uint8Array(length);
    let filled = 0;
    for await (const chunk of part.body) {
      if (chunk.length > length - filled) return undefined;
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    return filled === length ? bytes : undefined;
  } catch (error) {
    options.signal.throwIfAborted();
    if (isOthersFailure(error)) return undefined;
    throw error;
  } finally {
    part?.close();
  }
}
