import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { type Advance, createAttempts } from './attempts.ts';
import { type Begun, continueSource, type ReceivedDigest } from './continued-source.ts';
import { openSourceOnce } from './open-source.ts';
import { isOthersFailure } from './passing.ts';
import type { Joining } from './same-file.ts';
import type { Location, Source, SourceOptions } from './source.ts';

/** A file that several servers may send, each a part of it. */
export interface MirroredSource extends Source {
  /** Where the bytes have come from that are here now. */
  readonly origins: () => ReadonlySet<Location>;
  /** Whether bytes of several answers were joined without having been compared, and not only on one server's word. */
  readonly isJoinedOnTrust: () => boolean;
}

export interface MirrorOptions extends SourceOptions {
  /** What is reason enough to join the bytes of two answers. */
  readonly joining: Joining;
  /** Of all bytes that `body` has yielded. */
  readonly digest: ReceivedDigest;
}

/**
 * Opens a file at the first location that answers, and keeps its body going: where a connection is lost, the rest is
 * asked for, there or at the next location. What the body yields is always one and the same file, as far as servers or
 * a digest can tell.
 *
 * @param locations at least one
 * @throws RdpullError http-changed when the file was replaced meanwhile, and only a new start can help; those of
 *   `openSource`
 */
export async function openMirroredSource(
  locations: readonly Location[],
  options: MirrorOptions,
): Promise<MirroredSource> {
  const { patience, ...once } = options;
  let received = 0;
  let size: number | undefined;
  let joinedOnTrust = false;
  const attempts = createAttempts(locations, options, advance);

  function advance(): Advance {
    if (received === 0) return { next: 'trying again', got: '' };
    const total = size === undefined ? '' : ` of ${size}`;
    return { next: `resuming at byte ${received}${total}`, got: `${received}${total} bytes` };
  }

  let { location, source } = await attempts.make(async (at) => ({
    location: at,
    source: await openSourceOnce(at.url, { ...once, ...at }),
  }));
  let begun: Pick<Begun, 'location' | 'source'> = { location, source };
  let origins = new Set([location]);
  const opened = source;
  size = source.size;

  const withoutRanges = new Set<Location>();
  /** The most bytes that were compared in one go: only what goes beyond is progress. */
  let compared = 0;
  let resumedAt = 0;

  async function resume(): Promise<void> {
    if (received > resumedAt) compared = 0;
    resumedAt = received;
    const continued = await attempts.make(async (at) => ({
      at,
      ...(await continueSource(
        at,
        { ...begun, received, digest: options.digest },
        {
          ...once,
          withoutRanges,
          notify: (text, pause) => patience?.notify(text, pause),
          repeated(bytes) {
            if (bytes <= compared) return;
            compared = bytes;
            attempts.progressed();
          },
        },
      )),
    }));
    ({ at: location, source } = continued);
    size ??= source.size;
    if (continued.by === 'whole') {
      begun = { location, source };
      origins = new Set();
      joinedOnTrust = false;
    }
    origins.add(location);
    if (continued.by === 'promise' || origins.size > 1) joinedOnTrust = true;
  }

  async function* body(): AsyncGenerator<Uint8Array> {
    for (;;) {
      try {
        const end = source.range === undefined ? size : source.range.to + 1;
        for await (const chunk of source.body) {
          if (end !== undefined && received + chunk.length > end) throw tooLong(location, end);
          received += chunk.length;
          yield chunk;
          attempts.progressed();
        }
        if (size === undefined || received === size) return;
        // A server may send less than it was asked for, piece by piece.
        if (received !== end) throw tooShort(location, received, size);
        source.close();
      } catch (error) {
        source.close();
        if (received === size && isOthersFailure(error)) return;
        await attempts.failed(error);
      }
      await resume();
    }
  }

  return {
    ...opened,
    body: body(),
    origins: () => origins,
    isJoinedOnTrust: () => joinedOnTrust,
    close: () => source.close(),
  };
}

function tooShort({ url }: Location, received: number, size: number): RdpullError {
  return new RdpullError(
    'http-length',
    `${shownUrl(url)}: ${received} of ${size} bytes arrived`,
    'try again; if it happens again, look at the log of the server',
  );
}

function tooLong({ url }: Location, end: number): RdpullError {
  return new RdpullError(
    'http-length',
    `${shownUrl(url)}: the server sends more than the ${shownSize(end)} that it announced`,
    'try again; if it happens again, look at the log of the server',
  );
}
