import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import type { CertificateFiles } from '../fixtures/certificate-authority.ts';

/** What goes wrong with a file, at first. */
export interface Fault {
  /** The connection is dropped when this part of the file has been sent, so many times. */
  readonly drop: { readonly part: number; readonly times: number };
}

export interface ServerOptions {
  /** It speaks https, with these; http by default. */
  readonly certificate?: CertificateFiles;
  /** Whoever does not show this token gets nothing. */
  readonly token?: string;
  /** The port; any by default. */
  readonly port?: number;
  /** By the name of the file. */
  readonly faults?: Readonly<Record<string, Fault>>;
  /** How fast a file is sent at most, in bytes per second, by its name. */
  readonly rates?: Readonly<Record<string, number>>;
  /** How fast all answers together are sent at most, in bytes per second: one link has them all. */
  readonly link?: number;
}

/** What a link may catch up with when it was not used for a moment, in ms: timers come late. */
const LINK_CATCHES_UP = 20;

/** One request. Times are those of performance.now(), ms. */
export interface Request {
  readonly method: string;
  readonly name: string;
  readonly range: string | undefined;
  readonly begun: number;
  ended: number | undefined;
  /** Of the body. */
  bytes: number;
}

/**
 * Serves the files of one directory to a guest. What "mkosi serve" runs cannot break off; this one can, and knows Range
 * and If-Range. In a guest the loopback interface of this machine is 10.0.2.2.
 */
export class ImageServer implements AsyncDisposable {
  readonly requests: Request[] = [];
  #server: http.Server;
  /** When all that was sent so far is over the link: performance.now(), ms. */
  #linkFree = 0;
  readonly #dropped = new Map<string, number>();

  private constructor(
    readonly directory: string,
    readonly options: ServerOptions,
  ) {
    this.#server = this.#make();
  }

  static async start(directory: string, options: ServerOptions = {}): Promise<ImageServer> {
    const server = new ImageServer(directory, options);
    await server.#listen(options.port ?? 0);
    return server;
  }

  /** Is away for so many ms: connections are closed, and new ones refused. */
  async away(milliseconds: number): Promise<void> {
    const { port } = this;
    await this.#close();
    await Bun.sleep(milliseconds);
    this.#server = this.#make();
    await this.#listen(port);
  }

  #make(): http.Server {
    const answer: http.RequestListener = (request, response) => this.#answer(request, response);
    const { certificate } = this.options;
    return certificate === undefined
      ? http.createServer(answer)
      : https.createServer(
          { key: fs.readFileSync(certificate.key), cert: fs.readFileSync(certificate.cert) },
          answer,
        );
  }

  async #listen(port: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen(port, '127.0.0.1', resolve);
    await promise;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server does not listen');
    return address.port;
  }

  /** As a guest sees it. */
  url(name: string): string {
    const scheme = this.options.certificate === undefined ? 'http' : 'https';
    return `${scheme}://10.0.2.2:${this.port}/${name}`;
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const name = path.basename(request.url ?? '');
    const file = path.join(this.directory, name);
    const entry: Request = {
      method: request.method ?? '',
      name,
      range: request.headers.range,
      begun: performance.now(),
      ended: undefined,
      bytes: 0,
    };
    this.requests.push(entry);
    const { token } = this.options;
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      entry.ended = performance.now();
      response.writeHead(401, { 'content-length': 0, 'www-authenticate': 'Bearer' }).end();
      return;
    }
    const stat = fs.statSync(file, { throwIfNoEntry: false });
    if (!stat?.isFile()) {
      entry.ended = performance.now();
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    const etag = `"${stat.size}-${stat.mtimeMs}"`;
    const wanted = /^bytes=(\d+)-(\d*)$/.exec(entry.range ?? '');
    const condition = request.headers['if-range'];
    const isPart = wanted !== null && (condition === undefined || condition === etag);
    const start = isPart ? Number(wanted[1]) : 0;
    const end = Math.min(isPart && wanted[2] ? Number(wanted[2]) + 1 : stat.size, stat.size);
    response.writeHead(isPart ? 206 : 200, {
      'content-length': end - start,
      'accept-ranges': 'bytes',
      etag,
      'last-modified': stat.mtime.toUTCString(),
      'content-type': 'application/octet-stream',
      ...(isPart && { 'content-range': `bytes ${start}-${end - 1}/${stat.size}` }),
    });
    if (entry.method === 'HEAD' || start >= end) {
      entry.ended = performance.now();
      response.end();
      return;
    }
    this.#send({ file, start, end, dropAt: this.#dropAt(name, stat.size, start, end) }, entry, response);
  }

  /** Where this answer is broken off: at a position that it reaches. */
  #dropAt(name: string, size: number, start: number, end: number): number | undefined {
    const drop = this.options.faults?.[name]?.drop;
    const already = this.#dropped.get(name) ?? 0;
    if (drop === undefined || already >= drop.times) return undefined;
    // The next time somewhat further on.
    const position = Math.floor(size * (drop.part + already * 0.1));
    if (position <= start || position >= end) return undefined;
    this.#dropped.set(name, already + 1);
    return position;
  }

  #send(
    { file, start, end, dropAt }: { file: string; start: number; end: number; dropAt: number | undefined },
    entry: Request,
    response: http.ServerResponse,
  ): void {
    const stream = fs.createReadStream(file, { start, end: (dropAt ?? end) - 1 });
    const rate = this.options.rates?.[entry.name];
    const { begun } = entry;
    stream.on('data', (chunk) => {
      entry.bytes += chunk.length;
      const ofAnswer = rate === undefined ? 0 : begun + (entry.bytes / rate) * 1000 - performance.now();
      const due = Math.max(ofAnswer, this.#overLink(chunk.length));
      const isTaken = response.write(chunk);
      if (isTaken && due <= 0) return;
      stream.pause();
      const waits = [
        ...(due > 0 ? [Bun.sleep(due)] : []),
        ...(isTaken ? [] : [new Promise((resolve) => response.once('drain', resolve))]),
      ];
      void Promise.all(waits).then(() => stream.resume());
    });
    stream.on('end', () => {
      entry.ended = performance.now();
      if (dropAt === undefined) response.end();
      // What has been written so far shall arrive.
      else setTimeout(() => response.socket?.destroy(), 500);
    });
    response.on('close', () => {
      entry.ended ??= performance.now();
      stream.destroy();
    });
  }

  /** How long it takes until so many bytes are over the link, in ms. */
  #overLink(bytes: number): number {
    const { link } = this.options;
    if (link === undefined) return 0;
    const now = performance.now();
    this.#linkFree = Math.max(this.#linkFree, now - LINK_CATCHES_UP) + (bytes * 1000) / link;
    return this.#linkFree - now;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}
