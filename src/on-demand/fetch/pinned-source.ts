import type { ReadRange } from '../../blocks/block-map.ts';
import { size as shownSize } from '../../console/quantity.ts';
import type { RdpullError } from '../../console/rdpull-error.ts';
import { shownUrl } from '../../console/shown-url.ts';
import { type Attempts, createAttempts } from '../../source/attempts.ts';
import { showsNoRanges } from '../../source/continued-source.ts';
import { openSourceOnce } from '../../source/open-source.ts';
import { isPassing } from '../../source/passing.ts';
import { Pools } from '../../source/pools.ts';
import type { KnownFile } from '../../source/same-file.ts';
import type { Location, Source, SourceOptions } from '../../source/source.ts';
import { createKnownParts } from './known-parts.ts';
import { createPartOpener } from './part-opener.ts';
import { createPartReader, endsEarly } from './part-reader.ts';
import { createSharedRecovery } from './shared-recovery.ts';

/** What the first request asks for: the first block of a raw image, and more than any header or partition table. */
const START_BYTES = 128 * 1024;

const NO_RANGES =
  'serve it with a web server that sends parts of files: nginx, Apache, Caddy, or rdpull serve';

export interface PinOptions extends SourceOptions {
  /** Takes a line about what should be put right: at most one of a kind. */
  readonly warn: (text: string) => void;
}

/**
 * One file on one server, or on several that have the very same, of which any parts are read for as long as it is needed. What
 * they send is always of the file that it was opened as, as far as servers can tell. Whoever reads when it is disposed of is told so.
 */
export interface PinnedSource extends Disposable {
  readonly kind: 'file';
  /** Where it was found, after redirects. */
  readonly url: string;
  readonly location: Location;
  /** Bytes, as served. */
  readonly size: number;
  readonly lastModified: Date | undefined;
  /** What identifies its bytes to the server (`If-Range`). */
  readonly validator: string | undefined;
  /** Its first bytes: 128 KiB. */
  readonly start: Uint8Array;
  /**
   * Reads a part of it that is there as a whole when it is. Where a connection is lost, or a server away, it waits, and goes on
   * where it had been, for as long as the patience lasts since anything came last, for any reader.
   *
   * @throws RdpullError http-changed when it is another file now; of the network or http family when the patience is over; the
   *   reason of the signal
   */
  readonly read: ReadRange;
  /** The same, as it arrives: each chunk is only valid until the next is asked for. */
  parts(offset: number, length: number): AsyncGenerator<Uint8Array>;
  /** Where the next part is asked for. */
  readonly present: Location;
  /** What came was not what its own checks say: if `from` is still the present one, the next server is asked, where there is one. */
  doubt(error: RdpullError, from: Location): void;
  /** How many servers may send it. */
  readonly locations: number;
  readonly requests: number;
  /** Bytes that came, as served, those that came twice twice. */
  readonly fetched: number;
}

/** The file, or why it can only be downloaded as a whole. */
export type PinResult =
  | { readonly kind: 'pinned'; readonly source: PinnedSource }
  | {
      readonly kind: 'whole';
      /** What is in the way, to follow the file's name: "comes from a server that ...". */
      readonly reason: string;
      readonly remedy: string;
    };

/**
 * Opens a file to be read in parts, at the first of `locations` that answers: by its first bytes it is learned how long it is, and
 * what tells that it is still the same.
 *
 * @param locations mirrors of one another; at least one
 * @throws RdpullError as `openSource`
 */
export async function openPinnedSource(
  locations: readonly Location[],
  options: PinOptions,
): Promise<PinResult> {
  const { patience } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([options.signal, ending.signal]);
  const ownPools = options.pools === undefined ? new Pools() : undefined;
  const access: SourceOptions = { ...options, signal, ...(ownPools !== undefined && { pools: ownPools }) };
  const end = () => {
    ending.abort(new Error('nobody reads on'));
    ownPools?.[Symbol.dispose]();
  };
  const attemptsAt = (places: readonly Location[]) =>
    createAttempts(
      places,
      { signal, ...(patience !== undefined && { patience }), passes: (error) => passes(error, access) },
      () => ({ next: isEndless(access) ? 'reads wait; trying again' : 'trying again', got: '' }),
    );
  try {
    const found = await attemptsAt(locations).make((location) => openStart(location, access));
    if (found.kind === 'found') {
      const mirrors = usableMirrors(found, locations, options);
      const attempts = attemptsAt([found.location, ...mirrors]);
      attempts.progressed();
      return { kind: 'pinned', source: pinned(found, attempts, access, mirrors.length + 1, end) };
    }
    end();
    return found;
  } catch (error) {
    end();
    throw error;
  }
}

/** A file of which the first bytes are here. */
interface Found extends KnownFile {
  readonly kind: 'found';
  readonly source: Source;
  readonly size: number;
  readonly start: Uint8Array;
}

async function openStart(
  location: Location,
  options: SourceOptions,
): Promise<Found | Extract<PinResult, { kind: 'whole' }>> {
  if (location.url.startsWith('file:'))
    return whole('is on this machine already', 'name an http or https URL');
  let source: Source;
  try {
    const { patience: _, ...once } = options;
    // Whatever it says of codings is told as a reason, and no error.
    const asked = { ...once, ...location, isPromised: true };
    source = await openSourceOnce(location.url, asked, { from: 0, to: START_BYTES - 1 });
  } catch (error) {
    if (showsNoRanges(error))
      return whole('comes from a server that sends parts of files wrongly, or is empty', NO_RANGES);
    throw error;
  }
  try {
    const { range, size, validator, lastModified, codings } = source;
    if (range === undefined) return whole('comes from a server that sends no parts of files', NO_RANGES);
    if (size === undefined) return whole('comes from a server that does not say how long it is', NO_RANGES);
    if (codings.length > 0) {
      return whole(
        `comes from a server that compresses it on the way, or says so (Content-Encoding: ${codings.join(', ')})`,
        'turn compression off for this file in the configuration of the server',
      );
    }
    if (size <= START_BYTES) {
      return whole(`has ${shownSize(size)}, which one request brings`, 'pull it without on-demand');
    }
    if (validator === undefined && lastModified === undefined) {
      return whole(
        'comes from a server that does not say whether it has changed (neither a strong ETag nor Last-Modified)',
        'serve it with a web server that sends an ETag: nginx, Apache, Caddy, or rdpull serve',
      );
    }
    const start = new Uint8Array(START_BYTES);
    let filled = 0;
    for await (const chunk of source.body) {
      start.set(chunk.subarray(0, START_BYTES - filled), filled);
      filled += Math.min(chunk.length, START_BYTES - filled);
    }
    if (filled < START_BYTES) throw endsEarly(location, filled, START_BYTES);
    return { kind: 'found', location, source, size, start };
  } finally {
    source.close();
  }
}

/** Of the other locations, those that can be told to have the same file, in the order in which they are asked. */
function usableMirrors(found: Found, locations: readonly Location[], options: PinOptions): Location[] {
  const shown = shownUrl(found.source.url);
  if (found.source.validator === undefined) {
    options.warn(
      `${shown}: the server sends no ETag that could be relied on: its size and its date alone tell whether the image is still the same`,
    );
  }
  const at = locations.indexOf(found.location);
  const mirrors = [...locations.slice(at + 1), ...locations.slice(0, at)];
  if (mirrors.length === 0 || found.source.entityTag !== undefined || options.isPromised === true)
    return mirrors;
  options.warn(`${shown}: without a strong ETag no mirror can be told to have the same image: none is asked`);
  return [];
}

function pinned(
  found: Found,
  attempts: Attempts<Location>,
  options: SourceOptions,
  locations: number,
  end: () => void,
): PinnedSource {
  const known = createKnownParts(found.start);
  const opener = createPartOpener(found, options);
  const recovery = createSharedRecovery(attempts);
  const reader = createPartReader({ attempts, opener, recovery, signal: options.signal });

  async function* parts(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (const { from, to, bytes } of known.split(offset, offset + length)) {
      if (bytes === undefined) yield* reader.read(from, to);
      else yield bytes;
    }
  }

  async function read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    for await (const chunk of parts(offset, length)) {
      bytes.set(chunk, filled);
      filled += chunk.length;
    }
    known.add(offset, bytes);
    return bytes;
  }

  function doubt({ message }: RdpullError, from: Location): void {
    known.forget();
    if (attempts.place === from) attempts.turn();
    const { place = from } = attempts;
    const where = place === from ? '' : ` from ${shownUrl(place.url)}`;
    options.patience?.notify(`${message}; it is fetched again${where}`, 0);
  }

  return {
    ...{
      kind: 'file',
      url: found.source.url,
      location: found.location,
      size: found.size,
      start: found.start,
    },
    ...{ lastModified: found.source.lastModified, validator: found.source.validator },
    ...{ locations, read, parts, doubt },
    get present() {
      return attempts.place ?? found.location;
    },
    get requests() {
      return 1 + opener.requests;
    },
    get fetched() {
      return found.start.length + reader.fetched;
    },
    [Symbol.dispose]: end,
  };
}

const isEndless = ({ patience }: SourceOptions) => patience?.milliseconds === Number.POSITIVE_INFINITY;

/**
 * Whether a failure is waited for: what may pass; that parts are sent wrongly, by a server that has done it rightly before; and where there is no end of patience all but that the file is another one, because somebody may mend it.
 */
function passes(error: RdpullError, options: SourceOptions): boolean {
  if (isPassing(error) || showsNoRanges(error)) return true;
  return isEndless(options) && error.code !== 'http-changed';
}

function whole(reason: string, remedy: string): Extract<PinResult, { kind: 'whole' }> {
  return { kind: 'whole', reason, remedy };
}
