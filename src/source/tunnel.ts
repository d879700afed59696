import type net from 'node:net';
import { RdpullError } from '../console/rdpull-error.ts';
import { version } from '../version.ts';
import { keepBytes } from './kept-bytes.ts';
import { type HttpProxy, proxyRefusal } from './proxy.ts';

/** What the head of the answer may be long, in bytes. */
const HEAD_MAX = 16 * 1024;

/**
 * Asks a proxy to pass everything on to a server (CONNECT, RFC 9110, section 9.3.6).
 *
 * @param socket a connection to the proxy, which afterwards leads to the server
 * @param authority host and port of the server, `[::1]:443`
 * @param silence how long the proxy may take to reach the server, in ms
 * @throws RdpullError proxy-refused, http-server-error; Error with a code of the network; the reason of `signal`
 */
export async function openTunnel(
  socket: net.Socket,
  authority: string,
  proxy: HttpProxy,
  signal: AbortSignal,
  silence: number,
): Promise<void> {
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    `User-Agent: rdpull/${version}`,
    ...(proxy.authorization === undefined ? [] : [`Proxy-Authorization: ${proxy.authorization}`]),
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  const head = await readHead(socket, proxy, signal, silence);
  const match = /^HTTP\/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n/.exec(head);
  if (match === null) throw notHttp(proxy);
  const [, status = '', reason = ''] = match;
  if (status.startsWith('2')) return;
  throw proxyRefusal(proxy, Number(status), `${status} ${reason}`.trim(), authority);
}

function readHead(
  socket: net.Socket,
  proxy: HttpProxy,
  signal: AbortSignal,
  silence: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const received = keepBytes(HEAD_MAX);
    const limit = setTimeout(
      () =>
        settle(() =>
          reject(
            new RdpullError(
              'transfer-stalled',
              `the proxy ${proxy.shown} does not answer`,
              'look at the log of the proxy',
            ),
          ),
        ),
      silence,
    );
    const aborted = () => settle(() => reject(signal.reason));
    const failed = (error: Error) => settle(() => reject(error));
    const closed = () =>
      settle(() =>
        reject(
          new RdpullError(
            'connection-lost',
            `the proxy ${proxy.shown} closed the connection`,
            'look at the log of the proxy',
          ),
        ),
      );
    function settle(outcome: () => void): void {
      clearTimeout(limit);
      signal.removeEventListener('abort', aborted);
      socket.off('data', take).off('error', failed).off('end', closed).off('close', closed);
      outcome();
    }
    function take(chunk: Buffer): void {
      const isTooLong = !received.add(chunk);
      const head = Buffer.from(received.bytes()).toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end >= 0) {
        socket.pause();
        // The server speaks second, so nothing follows a head that grants the tunnel.
        settle(() => resolve(head.slice(0, end + 4)));
      } else if (isTooLong) {
        settle(() => reject(notHttp(proxy)));
      }
    }
    signal.addEventListener('abort', aborted);
    socket.on('data', take).once('error', failed).once('end', closed).once('close', closed);
  });
}

function notHttp({ shown }: HttpProxy): RdpullError {
  return new RdpullError(
    'http-protocol',
    `what answers as the proxy ${shown} does not speak HTTP`,
    'check the host and the port of the proxy',
  );
}
