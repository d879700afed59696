import type { IncomingMessage } from 'node:http';
import { printable } from '../console/printable.ts';
import { percent } from '../console/progress-text.ts';
import { duration, share, size } from '../console/quantity.ts';
import { shownUrl } from '../console/shown-url.ts';
import { createChunkTally } from './chunk-tally.ts';
import { clientAddress } from './client-address.ts';
import type { BodyObserver } from './file-answer.ts';
import type { MachineTable, WatchedFetch } from './machine-table.ts';
import { isChunkPath } from './request-path.ts';

/** Shorter answers are not worth a line about how far they are. Bytes. */
const WORTH_WATCHING = 1024 * 1024;

/** What became of one request. */
export interface RequestJson {
  readonly event: 'request';
  readonly client: string;
  readonly userAgent?: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** The first byte of the file that was asked for, for a part of it. */
  readonly start?: number;
  /** Bytes of the body that were sent. */
  readonly sent: number;
  readonly milliseconds: number;
  /** Why there was nothing to send, or not all of it was. */
  readonly reason?: string;
}

/** One request, as it goes on. */
export interface RequestWatch extends BodyObserver {
  /** @param reason why it was not answered, or not to its end */
  ended(status: number, reason: string | undefined): void;
}

/** Tells who fetches what. */
export interface RequestLog extends Disposable {
  began(request: IncomingMessage): RequestWatch;
  /** A line for each transfer that goes on, but for those of the clients that have a row already. */
  rows(shown: ReadonlySet<string>): string[];
}

interface Running {
  readonly client: string;
  readonly title: string;
  readonly begun: number;
  part: { readonly start: number; readonly end: number; readonly size: number } | undefined;
  sent: number;
}

/** Where the lines go. */
export interface RequestLogOutput {
  info(text: string): void;
  /** Takes what became of each request. */
  request(json: RequestJson): void;
}

/** @param machines sees which firmware fetches what */
export function createRequestLog(output: RequestLogOutput, machines: MachineTable): RequestLog {
  const running = new Set<Running>();
  const tally = createChunkTally(output.info);
  return {
    rows: (shown) =>
      worthWatching(running)
        .filter(({ client }) => !shown.has(client))
        .map(progressOf),
    began(request) {
      const began = performance.now();
      const about = {
        client: clientAddress(request),
        method: printable(request.method ?? ''),
        path: shownUrl(request.url ?? ''),
      };
      const agent = agentOf(request);
      const title = `${about.client}  ${about.method} ${about.path}`;
      const { client } = about;
      const each: Running = { client, title, begun: began, part: undefined, sent: 0 };
      running.add(each);
      let firmware: WatchedFetch | undefined;
      return {
        began(part) {
          each.part = part;
          firmware = machines.fetched(client, agent, about.path, part.size);
        },
        sent(bytes) {
          each.sent = bytes;
          firmware?.sent((each.part?.start ?? 0) + bytes);
        },
        ended(status, reason) {
          if (!running.delete(each)) return;
          const end: Ended = { status, reason, agent, milliseconds: Math.round(performance.now() - began) };
          firmware?.ended();
          const store = status === 200 ? storeOf(request.url ?? '') : undefined;
          if (store === undefined) output.info(summaryOf(each, end));
          else tally.sent(`${about.client}  ${about.method} ${shownUrl(store)}`, each.sent);
          output.request(requestJson(about, each, end));
        },
      };
    },
    [Symbol.dispose]: () => tally[Symbol.dispose](),
  };
}

/** The path of the store of a chunk; undefined for any other file. */
function storeOf(path: string): string | undefined {
  const names = path.split('/');
  return isChunkPath(names) ? `${names.slice(0, -2).join('/')}/` : undefined;
}

/** How a request came to its end. */
interface Ended {
  readonly status: number;
  readonly reason: string | undefined;
  readonly agent: string | undefined;
  readonly milliseconds: number;
}

function requestJson(
  about: Pick<RequestJson, 'client' | 'method' | 'path'>,
  { part, sent }: Running,
  { status, reason, agent, milliseconds }: Ended,
): RequestJson {
  const { client, method, path } = about;
  return {
    event: 'request',
    client,
    ...(agent !== undefined && { userAgent: agent }),
    ...{ method, path, status },
    ...(status === 206 && part !== undefined && { start: part.start }),
    sent,
    milliseconds,
    ...(reason !== undefined && { reason }),
  };
}

function worthWatching(running: ReadonlySet<Running>): Running[] {
  return [...running].filter(({ part }) => part !== undefined && part.end - part.start >= WORTH_WATCHING);
}

/** `192.0.2.7  GET /image.raw.xz  37 %, 58.2 of 158 MiB, 11.2 MiB/s` */
function progressOf({ title, begun, part, sent }: Running): string {
  if (part === undefined) return title;
  const { start, size: whole } = part;
  const rate = (sent * 1000) / Math.max(1, performance.now() - begun);
  const from = start === 0 ? '' : `, from ${size(start)} on`;
  return `${title}  ${percent(start + sent, whole)} %, ${share(start + sent, whole)}, ${size(rate)}/s${from}`;
}

function summaryOf({ title, part, sent }: Running, { status, reason, agent, milliseconds }: Ended): string {
  const who = agent === undefined ? '' : ` (${agent})`;
  const why = reason === undefined ? '' : `: ${reason}`;
  if (part === undefined) return `${title}  ${status}${why}${who}`;
  const from = part.start === 0 ? '' : ` from ${size(part.start)} on`;
  const length = part.end - part.start;
  const amount = sent === length ? size(sent) : `only ${share(sent, length)}`;
  return `${title}  ${status}, ${amount}${from} in ${duration(milliseconds)}${why}${who}`;
}

/** The program and its version, which come first (RFC 9110, section 10.1.5). */
function agentOf({ headers }: IncomingMessage): string | undefined {
  const [first = ''] = (headers['user-agent'] ?? '').split(' ');
  return first === '' ? undefined : printable(first).slice(0, 40);
}
