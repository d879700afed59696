import { shownUrl } from '../console/shown-url.ts';
import { connect, proxyToAsk } from './connection.ts';
import { HttpFault } from './http/http-fault.ts';
import { createPipelinedAnswers, type PipelinedAnswer } from './http/pipelined-answers.ts';
import { releaseBytes } from './http/release-bytes.ts';
import { requestHeaders, requireSendable } from './request-headers.ts';
import type { SourceOptions } from './source.ts';

/** How a server is reached, and what it is shown. */
export type PipelineOptions = Pick<
  SourceOptions,
  'ca' | 'clientCertificate' | 'login' | 'proxy' | 'zone' | 'signal'
>;

/** A file that is asked for, and how many bytes it may have. */
export interface PipelinedRequest {
  /** Path and query, as a URL has them. */
  readonly path: string;
  readonly most: number;
}

/** A connection over which many small files are asked for, each without waiting for those before it (RFC 9112, section 9.3.2). */
export interface PipelinedConnection {
  /** Answers that are still to come. */
  readonly awaited: number;
  /** All of the origin that the connection was opened for. */
  ask(requests: readonly PipelinedRequest[]): void;
  close(): void;
}

/** Who is told of what comes. */
export interface PipelineListener {
  /** The answers come in the order of the requests. What is thrown ends the connection. */
  answered(answer: PipelinedAnswer): void;
  /** All answers that came at once were told. */
  paused(): void;
  /** Nothing comes any more, and what is awaited will not: the connection was lost, or something came that is no plain answer. Once. */
  ended(reason: unknown): void;
}

/** How long nothing of use may come that is awaited, in ms, as for a connection that was kept. */
const SILENCE = 5000;
/** What is of use, in bytes, where no answer ends with it: a byte now and then of a head that does not end is not. */
const USEFUL_BYTES = 1024;

/**
 * Opens a connection to the server of a URL. This is the short way for files that are many, and known to be small, and that something else
 * vouches for: it follows no redirect, tries nothing again, and gives up on whatever it does not know. Who asks has another way for that.
 *
 * @throws RdpullError of the network or usage family; the reason of the signal
 */
export async function openPipelinedConnection(
  origin: URL,
  options: PipelineOptions,
  { answered, paused, ended }: PipelineListener,
): Promise<PipelinedConnection> {
  const { socket } = await connect(origin, options, SILENCE);
  const proxy = proxyToAsk(origin, options);
  const fields = {
    host: origin.host,
    connection: 'keep-alive',
    ...requestHeaders(origin, options),
    ...(proxy?.authorization !== undefined && { 'proxy-authorization': proxy.authorization }),
  };
  requireSendable(shownUrl(origin.href), fields);
  const head = Object.entries(fields)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  const answers = createPipelinedAnswers((answer) => {
    if (hasEnded) return;
    progressed();
    answered(answer);
    if (answer.isLast) close(new HttpFault('RDPULL_CLOSED', 'the server closes the connection'));
  });
  // A proxy wants to be asked for the whole URL.
  const prefix = proxy === undefined ? '' : origin.origin;
  let heard = performance.now();
  let received = 0;
  let hasEnded = false;
  const watch = setInterval(() => {
    if (answers.awaited > 0 && performance.now() - heard > SILENCE)
      close(new HttpFault('RDPULL_SILENT_BODY', `nothing came for ${SILENCE} ms`));
  }, SILENCE / 5);

  function progressed(): void {
    heard = performance.now();
    received = 0;
  }

  function close(reason: unknown): void {
    if (hasEnded) return;
    hasEnded = true;
    clearInterval(watch);
    socket.destroy();
    ended(reason);
  }

  socket.on('data', (chunk: Buffer) => {
    if (hasEnded) return;
    received += chunk.length;
    if (received >= USEFUL_BYTES) progressed();
    try {
      answers.add(chunk);
    } catch (error) {
      close(error);
      return;
    } finally {
      releaseBytes(chunk);
    }
    paused();
  });
  socket.on('error', close);
  socket.on('close', () => close(new HttpFault('RDPULL_CLOSED', 'the connection was closed')));

  return {
    get awaited() {
      return answers.awaited;
    },
    ask(requests) {
      if (answers.awaited === 0) progressed();
      let text = '';
      for (const { path, most } of requests) {
        answers.expect(most);
        text += `GET ${prefix}${path} HTTP/1.1\r\n${head}\r\n`;
      }
      if (!hasEnded) socket.write(text, 'latin1');
    },
    close: () => close(new HttpFault('RDPULL_CLOSED', 'nobody reads on')),
  };
}
