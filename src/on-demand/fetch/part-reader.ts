import { RdpullError } from '../../console/rdpull-error.ts';
import { shownUrl } from '../../console/shown-url.ts';
import type { Attempts } from '../../source/attempts.ts';
import { createCollector } from '../../source/collector.ts';
import type { Location } from '../../source/source.ts';
import type { PartOpener } from './part-opener.ts';
import type { SharedRecovery } from './shared-recovery.ts';

/** Bytes after which garbage is collected: other programs run already, and need the memory. */
const GARBAGE_BYTES = 4 * 1024 * 1024;
/** And how often that is at most, in ms: from a server that is near, they come in less. */
const COLLECT_INTERVAL = 20;

/** Reads parts of a file from the server that is asked at present, and goes on where a connection was lost. */
export interface PartReader {
  /**
   * The bytes from `from` to before `to`, as they arrive, by as many answers as it takes.
   *
   * @throws RdpullError when they are not waited for any longer; the reason of the signal
   */
  read(from: number, to: number): AsyncGenerator<Uint8Array>;
  /** Bytes that came, those that came twice twice. */
  readonly fetched: number;
}

export interface PartReaderOptions {
  readonly attempts: Attempts<Location>;
  readonly opener: PartOpener;
  readonly recovery: SharedRecovery;
  readonly signal: AbortSignal;
}

export function createPartReader({ attempts, opener, recovery, signal }: PartReaderOptions): PartReader {
  const collector = createCollector({
    fewBytes: GARBAGE_BYTES,
    interval: COLLECT_INTERVAL,
    givesBack: true,
  });
  let fetched = 0;

  /** As much of a part as one answer brings. */
  async function* fetchOnce(from: number, to: number): AsyncGenerator<Uint8Array> {
    const { place } = attempts;
    if (place === undefined) throw new Error('there is no place to try');
    const part = await opener.open(place, from, to - 1);
    try {
      let at = from;
      for await (const chunk of part.body) {
        at += chunk.length;
        if (at > part.end) throw tooLong(place, part.end);
        fetched += chunk.length;
        collector.received(chunk.length);
        recovery.progressed(chunk.length);
        yield chunk;
      }
      if (at < part.end) throw endsEarly(place, at, part.end);
    } finally {
      part.close();
    }
  }

  return {
    async *read(from, to) {
      for (let at = from; at < to; ) {
        const before = recovery.failures;
        const { place } = attempts;
        try {
          for await (const chunk of fetchOnce(at, to)) {
            at += chunk.length;
            yield chunk;
          }
        } catch (error) {
          signal.throwIfAborted();
          if (place !== undefined) opener.forget(place);
          await recovery.wait(error, before);
        }
      }
    },
    get fetched() {
      return fetched;
    },
  };
}

/** An answer that brings less than it has announced. */
export function endsEarly({ url }: Location, end: number, wanted: number): RdpullError {
  return new RdpullError(
    'http-length',
    `${shownUrl(url)}: the answer ends at byte ${end}, and not at ${wanted}, as was announced`,
    'try again; if it happens again, look at the log of the server',
  );
}

function tooLong({ url }: Location, end: number): RdpullError {
  return new RdpullError(
    'http-length',
    `${shownUrl(url)}: the server sends more than up to byte ${end}, as was announced`,
    'try again; if it happens again, look at the log of the server',
  );
}
