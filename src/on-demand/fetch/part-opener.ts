import { RdpullError } from '../../console/rdpull-error.ts';
import { shownUrl } from '../../console/shown-url.ts';
import { HttpStatusError } from '../../source/http-status.ts';
import { openSourceOnce } from '../../source/open-source.ts';
import {
  type Joining,
  type KnownFile,
  otherIdentity,
  otherLength,
  partRequest,
  reasonToJoin,
} from '../../source/same-file.ts';
import type { Location, Source, SourceOptions } from '../../source/source.ts';

/** How often one server has to say that it has another file: of several behind one name, one may be behind. */
const LOOKS = 2;

/** A server's answer with a part of a file, from byte {@link from} to before {@link end}. */
export interface OpenPart {
  readonly body: Source['body'];
  readonly end: number;
  close(): void;
}

/** Asks servers for parts of one file, and takes no answer that may be of another. */
export interface PartOpener {
  /**
   * Asks once.
   *
   * @param to the last byte
   * @throws RdpullError http-changed, http-range, and those of `openSource`
   */
  open(location: Location, from: number, to: number): Promise<OpenPart>;
  /** Something has failed there: redirects are followed again, for what they led to may be good for a time only. */
  forget(location: Location): void;
  readonly requests: number;
}

/** @param found what the first answer said of the file */
export function createPartOpener(
  found: KnownFile & { readonly source: Source },
  options: SourceOptions,
): PartOpener {
  const joining: Joining = options.isPromised === true ? 'promised' : 'alike';
  /** Where redirects had led to. */
  const resolved = new Map([[found.location, found.source.url]]);
  // In the middle of a file nothing tells a coding, and its start has been looked at.
  const { patience: _, ...once } = { ...options, isPromised: true };
  let requests = 0;

  function ask(location: Location, from: number, to: number): Promise<Source | HttpStatusError> {
    const wanted = partRequest(location, found, joining, { from, to });
    if (wanted === undefined) throw new Error(`nothing tells what ${shownUrl(location.url)} has`);
    requests++;
    const url = resolved.get(location) ?? location.url;
    return openSourceOnce(url, { ...once, ...location }, wanted).catch(refusedRange);
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

  return {
    async open(location, from, to) {
      for (let look = 1; ; look++) {
        const answer = await ask(location, from, to);
        const how = differenceOf(location, answer);
        if (answer instanceof HttpStatusError) {
          if (how === undefined) throw answer;
        } else if (how === undefined && answer.range !== undefined) {
          resolved.set(location, answer.url);
          return { body: answer.body, end: answer.range.to + 1, close: () => answer.close() };
        } else {
          answer.close();
        }
        if (how === undefined) throw sendsNoParts(location);
        if (look === LOOKS)
          throw location === found.location ? changed(location, how) : notTheSame(location, how);
        resolved.delete(location);
      }
    },
    forget: (location) => void resolved.delete(location),
    get requests() {
      return requests;
    },
  };
}

/** 416 is an answer about the file. */
function refusedRange(error: unknown): HttpStatusError {
  if (error instanceof HttpStatusError && error.status === 416) return error;
  throw error;
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
