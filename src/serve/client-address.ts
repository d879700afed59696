import type { IncomingMessage } from 'node:http';

/** Who has sent a request: its address, without the prefix that IPv4 has on a socket for both. */
export function clientAddress({ socket }: Pick<IncomingMessage, 'socket'>): string {
  return (socket.remoteAddress ?? 'somebody who is gone').replace(/^::ffff:/, '');
}
