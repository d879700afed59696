import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { descriptorLimit } from '../kernel/descriptors.ts';
import { isSystemError, reasonWithoutPath } from '../kernel/system-error.ts';
import { REPORT_HEADER } from '../report/report-url.ts';
import { LIST, SIGNATURE } from './checksum-list.ts';
import { clientAddress } from './client-address.ts';
import { directoryPage } from './directory-page.ts';
import { EVENTS_PATH } from './event-stream.ts';
import { fileAnswer, sendPart } from './file-answer.ts';
import { PAGE_HEADERS, pagePart } from './live-page.ts';
import { mediaType } from './media-type.ts';
import { REPORT_PATH } from './report-intake.ts';
import type { RequestWatch } from './request-log.ts';
import { requestPath, urlPath } from './request-path.ts';
import { disposable } from './served-directory.ts';
import type { Site } from './site.ts';

/**
 * Connections at one time: some hundred machines, each of which has up to four, for checksums, the image and its reports; and no more
 * than this process has descriptors for, when each sends a file, and some are left.
 */
const CONNECTIONS_MAX = 2048;
const DESCRIPTORS_LEFT = 64;

/** How long a client may take for the head of a request, and keep an idle connection, in ms. */
const HEAD_PATIENCE = 30_000;
const IDLE_PATIENCE = 60_000;

/** When a client is to ask again for a list whose digests are not ready, in seconds. */
const RETRY_AFTER = 5;

/** A server that runs; disposing of it ends all connections. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  /** The address that it was bound to, `::` for all. */
  readonly address: string;
}

/**
 * Serves a directory.
 *
 * @param address undefined: all addresses
 * @param port 0: any that is free
 * @throws RdpullError bad-option when it cannot listen there
 */
export async function startServer(
  site: Site,
  { address, port }: { readonly address: string | undefined; readonly port: number },
): Promise<RunningServer> {
  const server = http.createServer((request, response) => {
    answer(site, request, response).catch((error: unknown) => {
      site.warn(`a request failed: ${reasonOf(error)}`);
      response.destroy();
    });
  });
  server.maxConnections = Math.min(CONNECTIONS_MAX, Math.floor((descriptorLimit() - DESCRIPTORS_LEFT) / 2));
  server.headersTimeout = HEAD_PATIENCE;
  server.requestTimeout = HEAD_PATIENCE;
  server.keepAliveTimeout = IDLE_PATIENCE;
  const bound = await listen(server, address, port);
  site.news.servedAt(bound);
  return {
    port: bound.port,
    address: bound.address,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: http.Server, address: string | undefined, port: number): Promise<AddressInfo> {
  try {
    return await listenOn(server, address ?? '::', port);
  } catch (error) {
    // A kernel without IPv6.
    if (address === undefined && isSystemError(error, 'EAFNOSUPPORT', 'EADDRNOTAVAIL')) {
      return await listen(server, '0.0.0.0', port);
    }
    throw notListening(address, port, error);
  }
}

function listenOn(server: http.Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      const bound = server.address();
      if (bound === null || typeof bound === 'string') reject(new Error('the server does not listen'));
      else resolve(bound);
    });
  });
}

function notListening(address: string | undefined, port: number, error: unknown): RdpullError {
  const where = `port ${port}${address === undefined ? '' : ` of ${address}`}`;
  const [reason, hint] = isSystemError(error, 'EADDRINUSE')
    ? ['somebody else listens there', 'choose another one: --port=0 takes any that is free']
    : isSystemError(error, 'EACCES')
      ? ['only root may, below 1024', 'choose another one: --port=8081']
      : isSystemError(error, 'EADDRNOTAVAIL')
        ? [
            'it is no address of this machine',
            'ip address shows those there are; without --address= it is all',
          ]
        : [reasonOf(error), 'check --port= and --address='];
  return new RdpullError('bad-option', `rdpull cannot listen on ${where}: ${reason}`, hint, { cause: error });
}

async function answer(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on('error', () => undefined);
  response.setHeader(REPORT_HEADER, REPORT_PATH);
  if (request.method === 'POST' && request.url === REPORT_PATH) return takeReport(site, request, response);
  if (request.method === 'GET' && request.url === EVENTS_PATH) return sendNews(site, response);
  const watch = site.log.began(request);
  try {
    await sendAnswer(site, request, response, watch);
  } catch (error) {
    const why = reasonWithoutPath(error);
    if (!response.headersSent) return failed(response, watch, why);
    // What is missing must not look like the end.
    response.destroy();
    watch.ended(response.statusCode, why);
  }
}

async function sendAnswer(
  site: Site,
  request: IncomingMessage,
  response: ServerResponse,
  watch: RequestWatch,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return sendText(response, watch, 405, 'only GET and HEAD are answered\n', { allow: 'GET, HEAD' });
  }
  const part = pagePart(request);
  if (part !== undefined) {
    return send(response, watch, 200, Buffer.from(part.text), part.type, { ...PAGE_HEADERS, vary: 'Accept' });
  }
  const asked = requestPath(request.url ?? '');
  if (asked === undefined) return notFound(response, watch);
  const { names, isDirectory } = asked;
  using found = disposable(site.directory.open(names));
  if (found.kind === 'directory') {
    if (!isDirectory) {
      const location = `/${urlPath(names)}/`;
      return sendText(response, watch, 301, 'it is a directory\n', { location });
    }
    const page = directoryPage(names, site.directory.list(names) ?? []);
    const vary = { vary: 'Accept' };
    return send(response, watch, 200, Buffer.from(page), 'text/html; charset=utf-8', vary);
  }
  const name = names.at(-1) ?? '';
  const isMade = name === LIST || name === SIGNATURE;
  if (isMade && (await sendMade(site, request, response, watch, names))) return;
  if (found.kind === 'unreadable') return failed(response, watch, found.why);
  if (found.kind === 'refused') return notFound(response, watch, found.why);
  if (found.kind === 'missing' || isDirectory) return notFound(response, watch);

  const { status, headers, part: sent } = fileAnswer(request, found, names);
  response.writeHead(status, headers);
  if (sent === undefined || request.method === 'HEAD') {
    response.end();
    watch.ended(status, undefined);
    return;
  }
  const broken = await sendPart(response, found, sent, watch);
  watch.ended(status, broken);
}

/** What is new, for an open page. It gets no line in the log: it lasts as long as the page is open. */
function sendNews({ news }: Site, response: ServerResponse): void {
  if (!news.add(response)) {
    response.writeHead(503, { 'retry-after': String(RETRY_AFTER), 'content-length': 0 });
    response.end();
  }
}

/** What a machine tells. It gets no line of its own in the log: what it says does. */
async function takeReport(
  { reports }: Site,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, reason, headers = {} } = await reports.take(request, clientAddress(request));
  const body = reason === undefined ? '' : `${reason}\n`;
  const length = status === 204 ? {} : { 'content-length': body.length, 'content-type': 'text/plain' };
  response.writeHead(status, { ...headers, ...length });
  response.end(body);
}

/**
 * Sends a list of checksums, or its signature, that is made for what is served now. A list that somebody has put into the
 * directory goes before; its signature then has to be there as well.
 *
 * @returns whether there was anything to send
 */
async function sendMade(
  { directory, lists }: Site,
  request: IncomingMessage,
  response: ServerResponse,
  watch: RequestWatch,
  names: readonly string[],
): Promise<boolean> {
  const parent = names.slice(0, -1);
  using own = disposable(directory.open([...parent, LIST]));
  if (own.kind !== 'missing') return false;
  const client = request.socket.remoteAddress ?? '';
  const name = names.at(-1) ?? '';
  const made = name === LIST ? await lists.list(parent, client) : await lists.signature(parent, client);
  if (made === undefined) {
    // A signature that lies there is of another list.
    notFound(response, watch);
  } else if ('kind' in made) {
    const text = 'the digests are not ready yet\n';
    sendText(response, watch, 503, text, { 'retry-after': String(RETRY_AFTER) });
  } else {
    const body = 'text' in made ? Buffer.from(made.text) : Buffer.from(made.bytes);
    send(response, watch, 200, body, mediaType(name), { 'cache-control': 'no-cache' });
  }
  return true;
}

function notFound(response: ServerResponse, watch: RequestWatch, why?: string): void {
  sendText(response, watch, 404, 'there is no such file\n', {}, why);
}

/** It may be otherwise in a moment, and then has to be said as what it is: a disk that fails, or a server behind this one. */
function failed(response: ServerResponse, watch: RequestWatch, why: string): void {
  sendText(response, watch, 500, 'it cannot be sent\n', {}, why);
}

function sendText(
  response: ServerResponse,
  watch: RequestWatch,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
  why?: string,
): void {
  send(response, watch, status, Buffer.from(text), 'text/plain; charset=utf-8', headers, why);
}

function send(
  response: ServerResponse,
  watch: RequestWatch,
  status: number,
  body: Buffer,
  type: string,
  headers: Readonly<Record<string, string>> = {},
  why?: string,
): void {
  response.writeHead(status, {
    ...headers,
    'content-type': type,
    'content-length': body.length,
    'x-content-type-options': 'nosniff',
  });
  const isHead = response.req.method === 'HEAD';
  if (!isHead) watch.began({ start: 0, end: body.length, size: body.length });
  response.end(isHead ? undefined : body);
  if (!isHead) watch.sent(body.length);
  watch.ended(status, why);
}
