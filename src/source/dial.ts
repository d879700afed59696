import net from 'node:net';
import { requireDescriptors } from '../kernel/descriptors.ts';
import { isSystemError, SystemCallError } from '../kernel/system-error.ts';

/** How long one address has for itself before the next is tried beside it, in ms (RFC 8305, section 5). */
const ATTEMPT_DELAY = 250;

/** What getaddrinfo(3) opens at once: a file of /etc, or a socket for each name server and each family. */
const LOOKUP_DESCRIPTORS = 3;

/**
 * Opens a TCP connection to a host. Its addresses are looked up anew and tried as RFC 8305 ("Happy Eyeballs") says:
 * IPv6 and IPv4 in turn, the next one a quarter of a second later, so that a family that leads nowhere costs no more
 * than that.
 *
 * @param host a name or an IP address without brackets; a link-local one may have a zone (`fe80::1%eth0`)
 * @param silence how long it may take to accept the connection, on whichever address, in ms
 * @throws Error with the code of getaddrinfo(3) or connect(2); the reason of `signal`
 */
export async function dial(
  host: string,
  port: number,
  signal: AbortSignal,
  silence: number,
): Promise<net.Socket> {
  const addresses = net.isIP(host) === 0 ? await addressesOf(host, signal) : [host];
  signal.throwIfAborted();
  return orTooFewDescriptors(1, orNoRoute(addresses, firstToAccept(addresses, port, signal, silence)));
}

async function addressesOf(host: string, signal: AbortSignal): Promise<readonly string[]> {
  // Most initrds ask a server by its address, and the module is a twentieth of such a pull.
  const { lookup } = await import('node:dns/promises');
  const found = await orTooFewDescriptors(
    LOOKUP_DESCRIPTORS,
    unlessAborted(lookup(host, { all: true, order: 'verbatim' }), signal),
  );
  return byTurns(found).map(({ address }) => address);
}

/** The runtime takes a network that cannot be reached (ENETUNREACH) for a server that refuses: before the network is up, every server would. */
async function orNoRoute<T>(addresses: readonly string[], attempt: Promise<T>): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    if (!isSystemError(error, 'ECONNREFUSED')) throw error;
    const { localAddressTowards } = await import('./local-address.ts');
    const routes = await Promise.allSettled(addresses.map(localAddressTowards));
    const [first] = routes;
    if (first?.status !== 'rejected' || routes.some(({ status }) => status === 'fulfilled')) throw error;
    throw first.reason;
  }
}

/** What fails with this, and not with what it looks like, where there are not so many descriptors left. */
async function orTooFewDescriptors<T>(needed: number, attempt: Promise<T>): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    requireDescriptors(needed);
    throw error;
  }
}

function timedOut(): Error {
  const { errno } = process.getBuiltinModule('node:os').constants;
  return new SystemCallError('connect', errno.ETIMEDOUT);
}

function firstToAccept(
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
  silence: number,
): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const pending = new Set<net.Socket>();
    const untried = [...addresses];
    let turn: NodeJS.Timeout | undefined;
    const limit = setTimeout(() => settle(() => reject(timedOut())), silence);
    const aborted = () => settle(() => reject(signal.reason));
    signal.addEventListener('abort', aborted);

    function settle(outcome: () => void): void {
      clearTimeout(turn);
      clearTimeout(limit);
      signal.removeEventListener('abort', aborted);
      for (const socket of pending) socket.destroy();
      outcome();
    }

    function tryNext(): void {
      clearTimeout(turn);
      const host = untried.shift();
      if (host === undefined) return;
      const socket = net.connect({ host, port, noDelay: true, keepAlive: true });
      pending.add(socket);
      const failed = (error: Error) => {
        pending.delete(socket);
        // The last address to fail speaks for all: the first one may just be of a family that nobody has here.
        if (untried.length === 0 && pending.size === 0) settle(() => reject(error));
        else tryNext();
      };
      socket.once('error', failed);
      socket.once('connect', () => {
        pending.delete(socket);
        // What goes wrong from now on is no reason to try another address.
        socket.off('error', failed);
        settle(() => resolve(socket));
      });
      turn = setTimeout(tryNext, ATTEMPT_DELAY);
    }
    tryNext();
  });
}

/** The addresses of the two families in turn, beginning with the family that getaddrinfo(3) puts first (RFC 6724). */
function byTurns<T extends { readonly family: number }>(addresses: readonly T[]): T[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family);
  const second = addresses.filter(({ family }) => family !== addresses[0]?.family);
  return first
    .flatMap((address, index) => [address, ...second.slice(index, index + 1)])
    .concat(second.slice(first.length));
}

/** The resolver cannot be interrupted, and a name server that is silent costs it half a minute. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener('abort', aborted);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted));
  });
}
