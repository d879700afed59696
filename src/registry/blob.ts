import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { type Advance, createAttempts } from '../source/attempts.ts';
import { showsNoRanges } from '../source/continued-source.ts';
import { isOthersFailure } from '../source/passing.ts';
import type { RangeRequest, Source, SourceOptions } from '../source/source.ts';

/** How many bytes of what. */
interface Described {
  readonly size: number;
}

/**
 * Opens a blob from a byte on, and keeps its body going: where a connection is lost, the rest is asked for. That what comes then
 * belongs to what had come, its digest tells in the end; so does it when a server sends the whole again, of which the beginning
 * is passed over.
 *
 * @param ask sends one request
 * @throws RdpullError
 */
export async function openBlob(
  url: string,
  { size }: Described,
  from: number,
  ask: (wanted: RangeRequest | undefined) => Promise<Source>,
  options: Pick<SourceOptions, 'patience' | 'signal'>,
): Promise<Source> {
  let received = from;
  let hasRanges = true;
  const attempts = createAttempts([{ url }], options, advance);

  function advance(): Advance {
    if (received === 0) return { next: 'trying again', got: '' };
    return { next: `resuming at byte ${received} of ${size}`, got: `${received} of ${size} bytes` };
  }

  /** An answer that holds the byte that is next. */
  async function askForRest(): Promise<Source> {
    if (received === 0 || !hasRanges) return ask(undefined);
    try {
      return await ask({ from: received });
    } catch (error) {
      if (!showsNoRanges(error)) throw error;
      hasRanges = false;
      return ask(undefined);
    }
  }

  const open = () =>
    attempts.make(async () => {
      const answer = await askForRest();
      if (answer.size === undefined || answer.size === size) return answer;
      answer.close();
      throw otherSize(url, shownBytes(answer.size), size);
    });
  let source = await open();
  const opened = source;

  async function* body(): AsyncGenerator<Uint8Array> {
    for (;;) {
      try {
        let place = source.range?.from ?? 0;
        for await (const chunk of source.body) {
          if (place + chunk.length > size) throw otherSize(url, 'more', size);
          const fresh = chunk.subarray(Math.max(0, received - place));
          place += chunk.length;
          if (fresh.length === 0) continue;
          received += fresh.length;
          yield fresh;
          attempts.progressed();
        }
        if (received === size) return;
        source.close();
        throw tooShort(url, received, size);
      } catch (error) {
        source.close();
        if (received === size && isOthersFailure(error) && error.code !== 'checksum-mismatch') return;
        await attempts.failed(error);
      }
      source = await open();
    }
  }

  return {
    ...opened,
    size,
    range: from === 0 ? undefined : { from, to: size - 1 },
    body: body(),
    close: () => source.close(),
  };
}

function shownBytes(bytes: number): string {
  return `${bytes} bytes`;
}

/** What it has is not what the manifest names. */
function otherSize(url: string, found: string, size: number): RdpullError {
  return new RdpullError(
    'checksum-mismatch',
    `${shownUrl(url)}: the registry sends ${found} for a layer that has ${size} bytes by its manifest`,
    'push the image again: the registry has a damaged layer',
  );
}

function tooShort(url: string, received: number, size: number): RdpullError {
  return new RdpullError(
    'http-length',
    `${shownUrl(url)}: ${received} of ${size} bytes arrived (${shownSize(received)} of ${shownSize(size)})`,
    'try again; if it happens again, push the image again: the registry may have a damaged layer',
  );
}
