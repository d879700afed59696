import dgram from 'node:dgram';
import dns from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import os, { constants } from 'node:os';
import { SystemCallError } from '../kernel/system-error.ts';

/** A UDP port nobody needs to listen on: discard, RFC 863. Nothing is sent. */
const ANY_PORT = 9;

/** The interface that packets to a server leave by. */
export interface ServerInterface {
  readonly name: string;
  /** Lower-case, with colons; undefined for an interface without one (loopback, tunnels). */
  readonly mac: string | undefined;
  /** Of the server's address. */
  readonly family: 4 | 6;
}

/**
 * Asks the kernel which interface reaches `host`; undefined when the address that it would send from is on none.
 *
 * @param host a name or an IP address, without brackets
 * @throws Error with the code of getaddrinfo(3) or connect(2) when there is no such host or no route to it
 */
export async function findServerInterface(host: string): Promise<ServerInterface | undefined> {
  const addresses = await dns.lookup(host, { all: true });
  const local = await firstOf(addresses, ({ address }) => localAddressTowards(address));
  for (const [name, assigned = []] of Object.entries(os.networkInterfaces())) {
    const found = assigned.find(({ address }) => address === local);
    if (found === undefined) continue;
    const mac = /^[0:]*$/.test(found.mac) ? undefined : found.mac.toLowerCase();
    return { name, mac, family: isIPv6(found.address) ? 6 : 4 };
  }
  return undefined;
}

/** The first result that is no failure; when all fail, the first failure, as the best known address speaks for all. */
async function firstOf<T, R>(candidates: readonly T[], attempt: (candidate: T) => Promise<R>): Promise<R> {
  const failures: unknown[] = [];
  for (const candidate of candidates) {
    try {
      return await attempt(candidate);
    } catch (error) {
      failures.push(error);
    }
  }
  throw failures[0];
}

/**
 * Connecting a UDP socket sends nothing, but makes the kernel choose a route and a source address. When there is no
 * route the runtime says nothing, and the socket keeps the address that means none.
 */
function localAddressTowards(address: string): Promise<string> {
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
