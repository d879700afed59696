import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import { constants } from 'node:os';
import { SystemCallError } from '../kernel/system-error.ts';

/** A UDP port nobody needs to listen on: discard, RFC 863. Nothing is sent. */
const ANY_PORT = 9;

/**
 * The address that packets to another are sent from. Connecting a UDP socket sends nothing, but makes the kernel choose a route and a source address. When there is no
 * route the runtime says nothing, and the socket keeps the address that means none.
 *
 * @throws Error with the code of connect(2)
 */
export function localAddressTowards(address: string): Promise<string> {
  const socket = dgram.createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  return new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.connect(ANY_PORT, address, () => {
      const { address: local } = socket.address();
      if (local === '0.0.0.0' || local === '::')
        reject(new SystemCallError('connect', constants.errno.ENETUNREACH));
      else resolve(local);
    });
  }).finally(() => socket.close());
}
