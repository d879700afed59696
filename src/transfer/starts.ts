import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { MirroredSource } from '../source/mirrored-source.ts';
import type { Location } from '../source/source.ts';

/** How often a file may be replaced while it is downloaded. */
const MAX_REPLACED = 5;

/** One start of a transfer from its first byte. */
export interface Start {
  /** Where to look: not where a bad file has come from. */
  readonly locations: readonly Location[];
  /** Whether the bytes of two answers may be joined on the word of two servers, or because a digest would tell. */
  readonly mayJoinOnTrust: boolean;
  /** The file is found. */
  opened(source: MirroredSource): void;
}

export interface Starts {
  next(): Start;
  /**
   * Judges the failure of a start.
   *
   * @throws RdpullError `error`, or what all the servers together have come to, when no further start can help
   */
  failed(start: Start, error: unknown): void;
}

/**
 * Decides when a transfer starts over. Each further start has a reason that the one before did not have: fewer places
 * to look at, or no trust, or a new file on the server (a few times).
 *
 * @param notify takes a line when it does
 */
export function createStarts(locations: readonly Location[], notify: (text: string) => void): Starts {
  const bad = new Map<Location, RdpullError>();
  const sources = new Map<Start, MirroredSource>();
  let mayJoinOnTrust = true;
  let replaced = 0;

  return {
    next() {
      const start: Start = {
        locations: locations.filter((location) => !bad.has(location)),
        mayJoinOnTrust,
        opened: (source) => void sources.set(start, source),
      };
      return start;
    },

    failed(start, error) {
      const source = sources.get(start);
      if (!(error instanceof RdpullError) || source === undefined) throw combined(bad, error);
      if (error.code === 'http-changed') {
        replaced++;
        if (replaced > MAX_REPLACED) throw combined(bad, error);
        notify(`${error.message}; starting over`);
        return;
      }
      if (!isBadFile(error)) throw combined(bad, error);
      const origins = source.origins();
      if (source.isJoinedOnTrust()) {
        // Nobody knows which answer spoilt it: once more, with bytes that surely belong together.
        mayJoinOnTrust = false;
        notify(`${error.message}; starting over, because it was joined from several answers`);
        return;
      }
      const [origin] = origins;
      if (origin === undefined || start.locations.length === 1) throw combined(bad, error);
      bad.set(origin, error);
      notify(`${error.message}; starting over without ${shownUrl(origin.url)}`);
    },
  };
}

/** Whether the bytes were bad, and not the network, or this machine. */
function isBadFile({ code, family }: RdpullError): boolean {
  return family === 'decode' || code === 'checksum-mismatch' || code === 'http-web-page';
}

/** The last failure, with those that had come before it from other servers. */
function combined(bad: ReadonlyMap<Location, RdpullError>, last: unknown): unknown {
  if (bad.size === 0 || !(last instanceof RdpullError)) return last;
  const before = [...bad.values()].map(({ message }) => message).join('; ');
  return new RdpullError(last.code, `no mirror has a good file: ${before}; ${last.message}`, last.hint, {
    cause: last,
  });
}
