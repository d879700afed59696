import fs from 'node:fs';

/** Where packets go that no other route is for. */
export interface DefaultRoute {
  readonly interface: string;
  /** IPv4; undefined for a route without one (point to point). */
  readonly gateway: string | undefined;
}

/** RTF_UP, include/uapi/linux/route.h. */
const RTF_UP = 1;

/**
 * The default route of IPv4 that the kernel takes, the one of the lowest metric; undefined when there is none.
 *
 * @param root where proc lies
 */
export function defaultRoute(root = ''): DefaultRoute | undefined {
  let best: { readonly route: DefaultRoute; readonly metric: number } | undefined;
  for (const line of routes(root)) {
    // fib_route_seq_show() of net/ipv4/fib_trie.c: addresses as the machine has them in memory, little-endian on all that rdpull runs on.
    const [name = '', destination, gateway = '', flags = '', , , metric = '', mask] = line.split(/\s+/);
    if (destination !== '00000000' || mask !== '00000000') continue;
    if ((Number.parseInt(flags, 16) & RTF_UP) === 0) continue;
    const rank = Number(metric);
    if (best !== undefined && best.metric <= rank) continue;
    const address = [...Buffer.from(gateway, 'hex')].reverse().join('.');
    const isNone = address === '0.0.0.0' || !/^[0-9A-F]{8}$/.test(gateway);
    best = { route: { interface: name, gateway: isNone ? undefined : address }, metric: rank };
  }
  return best?.route;
}

function routes(root: string): readonly string[] {
  try {
    return fs.readFileSync(`${root}/proc/net/route`, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}
