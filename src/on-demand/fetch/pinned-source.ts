import type { ReadRange } from '../../blocks/block-map.ts';
import { size as shownSize } from '../../console/quantity.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import { shownUrl } from '../../console/shown-url.ts';
import { type Attempts, createAttempts } from '../../source/attempts.ts';
import { createCollector } from '../../source/collector.ts';
import { showsNoRanges } from '../../source/continued-source.ts';
import { HttpStatusError } from '../../source/http-status.ts';
import { openSourceOnce } from '../../source/open-source.ts';
import { isOthersFailure, isPassing } from '../../source/passing.ts';
import { Pools } from '../../source/pools.ts';
import {
  type Joining,
  type KnownFile,
  otherIdentity,
  otherLength,
  partRequest,
  reasonToJoin,
} from '../../source/same-file.ts';
import type { Location, Source, SourceOptions } from '../../source/source.ts';
import { createKnownParts } from './known-parts.ts';

/** What the first request asks for: the first block of a raw image, and more than any header or partition table. */
const START_BYTES = 128 * 1024;

/** Bytes of a file that have to have come since the last failure for the next one to be no reason to wait. */
const PROGRESS = 16 * 1024;

/** How often one server has to say that it has another file: of several behind one name, one may be behind. */
const LOOKS = 2;

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
  /** Where it was found, after redirects. */
  readonly url: string;
  readonly location: Location;
  /** Bytes, as served. */
  readonly size: number;
  readonly lastModified: Date | undefined;
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
  const { signal, isPromised } = options;
  const joining: Joining = isPromised === true ? 'promised' : 'alike';
  const known = createKnownParts(found.start);
  /** Where redirects had led to. They are followed again when something fails there: such URLs may be good for a time only. */
  const resolved = new Map([[found.location, found.source.url]]);
  const collector = createCollector();
  let requests = 1;
  let fetched = found.start.length;
  /** What has come since something failed last, in bytes. */
  let progress = 0;
  /** How often something has failed, and was waited for: readers that failed together wait together. */
  let failures = 0;
  let recovery: Promise<void> | undefined;

  /** Asks once for a part of the file. @throws RdpullError http-changed, http-range, and those of `openSource` */
  async function openPart(location: Location, from: number, to: number): Promise<Source> {
    const wanted = partRequest(location, found, joining, { from, to });
    if (wanted === undefined) throw new Error(`nothing tells what ${shownUrl(location.url)} has`);
    const { patience: _, ...once } = options;
    // In the middle of a file nothing tells a coding, and its start has been looked at.
    const asked = { ...once, ...location, isPromised: true };
    for (let look = 1; ; look++) {
      requests++;
      const answer = await openSourceOnce(resolved.get(location) ?? location.url, asked, wanted).catch(
        refusedRange,
      );
      const how = differenceOf(location, answer);
      if (how === undefined && !(answer instanceof RdpullError) && answer.range !== undefined) {
        resolved.set(location, answer.url);
        return answer;
      }
      if (!(answer instanceof RdpullError)) answer.close();
      if (how === undefined) throw answer instanceof RdpullError ? answer : sendsNoParts(location);
      if (look === LOOKS)
        throw location === found.location ? changed(location, how) : notTheSame(location, how);
      resolved.delete(location);
    }
  }

  /** What an answer says of another file; undefined when it may be of the same. */
  function differenceOf(location: Location, answer: Source | HttpStatusError): string | undefined {
    const length = otherLength(answer, found);
    if (length !== undefined || answer instanceof HttpStatusError) return length;
    if (answer.range !== undefined) {
      if (reasonToJoin(location, answer, found, joining) !== undefined) return undefined;
      return otherIdentity(answer, found) ?? 'it has another ETag or date now, or none';
    }
    return location === found.location || joining !== 'promised' ? otherIdentity(answer, found) : undefined;
  }

  /** Waits until it is time to try again. @param before the failures when what failed was begun */
  async function recover(error: unknown, before: number): Promise<void> {
    signal.throwIfAborted();
    if (attempts.place !== undefined) resolved.delete(attempts.place);
    // Somebody has waited since then.
    if (before !== failures) return;
    if (progress >= PROGRESS && isLostConnection(error)) {
      progress = 0;
      failures++;
      return;
    }
    recovery ??= attempts.failed(error).finally(() => {
      recovery = undefined;
      progress = 0;
      failures++;
    });
    await recovery;
  }

  async function* fetchParts(offset: number, length: number): AsyncGenerator<Uint8Array> {
    const end = offset + length;
    for (let at = offset; at < end; ) {
      const before = failures;
      let part: Source | undefined;
      try {
        const { place } = attempts;
        if (place === undefined) throw new Error('there is no place to try');
        part = await openPart(place, at, end - 1);
        const partEnd = (part.range?.to ?? 0) + 1;
        for await (const chunk of part.body) {
          if (at + chunk.length > partEnd) throw tooLong(place, partEnd);
          at += chunk.length;
          fetched += chunk.length;
          progress += chunk.length;
          collector.received(chunk.length);
          attempts.progressed();
          yield chunk;
        }
        if (at < partEnd) throw endsEarly(place, at, partEnd);
      } catch (error) {
        part?.close();
        await recover(error, before);
      } finally {
        part?.close();
      }
    }
  }

  async function* parts(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (const { from, to, bytes } of known.split(offset, offset + length)) {
      if (bytes === undefined) yield* fetchParts(from, to - from);
      else yield bytes;
    }
  }

  return {
    url: found.source.url,
    location: found.location,
    size: found.size,
    lastModified: found.source.lastModified,
    start: found.start,
    parts,
    async read(offset, length) {
      const bytes = new Uint8Array(length);
      let filled = 0;
      for await (const chunk of parts(offset, length)) {
        bytes.set(chunk, filled);
        filled += chunk.length;
      }
      known.add(offset, bytes);
      return bytes;
    },
    get present() {
      return attempts.place ?? found.location;
    },
    doubt({ message }, from) {
      known.forget();
      if (attempts.place === from) attempts.turn();
      const { place = from } = attempts;
      const where = place === from ? '' : ` from ${shownUrl(place.url)}`;
      options.patience?.notify(`${message}; it is fetched again${where}`, 0);
    },
    locations,
    get requests() {
      return requests;
    },
    get fetched() {
      return fetched;
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

/** Whether a failure is no server's answer: another connection may do. */
function isLostConnection(error: unknown): boolean {
  return isOthersFailure(error) && !(error instanceof HttpStatusError) && isPassing(error);
}

/** 416 is an answer about the file. */
function refusedRange(error: unknown): HttpStatusError {
  if (error instanceof HttpStatusError && error.status === 416) return error;
  throw error;
}

function whole(reason: string, remedy: string): Extract<PinResult, { kind: 'whole' }> {
  return { kind: 'whole', reason, remedy };
}

function changed({ url }: Location, how: string): RdpullError {
  return new RdpullError(
    'http-changed',
    `${shownUrl(url)}: this is not the image any more that was opened: ${how}`,
    'put the file back as it was, with its date, and it is read on; else start again with the new one',
  );
}

function notTheSame({ url }: Location, how: string): RdpullError {
  return new RdpullError(
    'http-changed',
    `${shownUrl(url)}: this mirror has another image: ${how}`,
    'let all mirrors have the same file, and give the same strong ETag for it',
  );
}

function sendsNoParts({ url }: Location): RdpullError {
  return new RdpullError(
    'http-range',
    `${shownUrl(url)}: the server sends the whole file where a part of it was asked for, though it has sent parts before`,
    'the server, or a proxy before it, does not send parts of files rightly: check its configuration',
  );
}

function endsEarly({ url }: Location, end: number, wanted: number): RdpullError {
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
