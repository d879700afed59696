import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { createCollector } from './collector.ts';
import { HttpStatusError } from './http-status.ts';
import { openSourceOnce } from './open-source.ts';
import { type DigestKind, startDigest } from './running-digest.ts';
import {
  type Joining,
  type KnownFile,
  otherIdentity,
  otherLength,
  partRequest,
  reasonToJoin,
} from './same-file.ts';
import type { Location, Source, SourceOptions } from './source.ts';

/** How often a comparison is reported, in ms. */
const REPORT_INTERVAL = 10_000;

/** The digest of bytes that were received, and of what kind it is. */
export interface ReceivedDigest {
  readonly kind: DigestKind;
  readonly value: () => string;
}

/** The file whose first bytes were received. */
export interface Begun extends KnownFile {
  /** How many bytes of it there are, at least 1. */
  readonly received: number;
  /** What they are told from others by. */
  readonly digest: ReceivedDigest;
}

export interface ContinueOptions extends SourceOptions {
  /** What is reason enough to join the bytes of two answers. */
  readonly joining: Joining;
  /** Where parts of the file cannot be had; an answer that shows it adds to it. */
  readonly withoutRanges: Set<Location>;
  /** Called as bytes that are here already come again; with how many. */
  readonly repeated: (bytes: number) => void;
  readonly notify: (text: string, pause: number) => void;
}

/** The rest of a file. */
export interface Continued {
  /** Its body begins with the first byte that is missing. */
  readonly source: Source;
  /**
   * Why it fits what there is: `whole`, this answer has sent it all, with the same first bytes; `validator`, the servers
   * say so; `promise`, the digest will tell.
   */
  readonly by: 'whole' | 'validator' | 'promise';
}

/**
 * Opens the rest of a file: a part of it where the server can, else the whole, whose first bytes must be those that are
 * here already.
 *
 * @throws RdpullError http-changed when this is another file; those of `openSource`
 */
export async function continueSource(
  location: Location,
  begun: Begun,
  options: ContinueOptions,
): Promise<Continued> {
  const { url } = location;
  const asked = { ...options, ...location };
  const wanted = options.withoutRanges.has(location)
    ? undefined
    : partRequest(location, begun, options.joining, { from: begun.received });
  let source: Source | undefined;
  try {
    source = await openSourceOnce(url, asked, wanted);
    if (source.range !== undefined) {
      requireSameLength(url, source, begun);
      const by = reasonToJoin(location, source, begun, options.joining);
      if (by !== undefined) return { source, by };
      source.close();
      source = await openSourceOnce(url, asked);
    }
  } catch (error) {
    source?.close();
    if (wanted === undefined || !showsNoRanges(error)) throw error;
    if (error instanceof HttpStatusError) requireSameLength(url, error, begun);
    options.withoutRanges.add(location);
    source = await openSourceOnce(url, asked);
  }
  try {
    requireSameLength(url, source, begun);
    if (location === begun.location) requireUnchanged(url, source, begun);
    return { source: await withoutFirst(source, location, begun, options), by: 'whole' };
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Whether a failure says that this server sends no parts, or sends them wrongly. */
export function showsNoRanges(error: unknown): boolean {
  if (error instanceof HttpStatusError) return error.status === 416;
  return error instanceof RdpullError && error.code === 'http-range';
}

function requireSameLength(url: string, answer: { readonly size: number | undefined }, begun: Begun): void {
  const how = otherLength(answer, begun);
  if (how !== undefined) throw changed(url, how);
  if (answer.size !== undefined && answer.size < begun.received) {
    throw changed(url, `it has ${answer.size} bytes now, and ${begun.received} had arrived`);
  }
}

/** Refuses what the server itself calls another file, before any of it is compared. */
function requireUnchanged(url: string, source: Source, begun: Begun): void {
  const how = otherIdentity(source, begun);
  if (how !== undefined) throw changed(url, how);
}

function changed(url: string, how: string): RdpullError {
  return new RdpullError(
    'http-changed',
    `${shownUrl(url)}: this is not the file that the download began with: ${how}`,
    'pull again when nobody replaces the file any more, and let all mirrors have the same',
  );
}

/**
 * `source`, which sends the whole file, without the bytes that are here already: they are read and compared by their
 * digest, so that what follows them is known to belong to them.
 */
async function withoutFirst(
  source: Source,
  { url }: Location,
  { received, digest: expected }: Begun,
  { repeated, notify, signal }: ContinueOptions,
): Promise<Source> {
  const shown = shownUrl(url);
  notify(
    `${shown}: the server sends the whole file again; its first ${shownSize(received)} are compared with what arrived`,
    0,
  );
  const chunks = source.body[Symbol.asyncIterator]();
  const digest = startDigest(expected.kind);
  const collector = createCollector();
  let skipped = 0;
  let rest: Uint8Array | undefined;
  let reported = performance.now();
  while (skipped < received) {
    const { value: chunk, done = false } = await chunks.next();
    signal.throwIfAborted();
    if (done) {
      throw changed(url, `it ends after ${skipped} bytes, and ${received} had arrived`);
    }
    const known: Uint8Array = chunk.subarray(0, received - skipped);
    digest.update(known);
    skipped += known.length;
    if (known.length < chunk.length) rest = chunk.subarray(known.length);
    repeated(skipped);
    collector.received(chunk.length);
    if (performance.now() - reported < REPORT_INTERVAL) continue;
    reported = performance.now();
    notify(`${shown}: ${shownSize(skipped)} of ${shownSize(received)} are compared`, 0);
  }
  if (digest.value() !== expected.value()) {
    throw changed(url, `its first ${received} bytes are not those that had arrived`);
  }
  return { ...source, body: restOf(rest, chunks) };
}

async function* restOf(
  first: Uint8Array | undefined,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (first !== undefined) yield first;
  yield* { [Symbol.asyncIterator]: () => chunks };
}
