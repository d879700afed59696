import { printable } from '../console/printable.ts';
import { type ErrorCode, RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { type KernelMessages, openKernelMessages } from '../kernel/kernel-messages.ts';
import { connectController, knownFabricsOptions, NVME_FABRICS } from '../kernel/nvme-fabrics.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { tcpControllers } from './controllers.ts';
import type { HostIdentity } from './host-identity.ts';
import { NOBODY_LISTENS, type Portal, shownPortal } from './portal.ts';

/** The well-known name of every discovery controller. */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery';

/** Who asks: what a target may want to know. */
export interface Host {
  readonly identity: HostIdentity | undefined;
  /** The secret of DH-HMAC-CHAP, never to be shown. */
  readonly secret: string | undefined;
}

/** A controller that was connected, or was so already. */
export interface Connected {
  readonly instance: number;
  readonly wasConnected: boolean;
}

/**
 * How a root behaves whose server is away. The kernel tries again every few seconds, without end: who reads or writes meanwhile
 * waits, as for a slow disk, and goes on when the server is back. With an end (of ten minutes, say) every file system would be
 * damaged then, and the machine with it. That a server is away is noticed by the keep-alive.
 */
const FOREVER = { keep_alive_tmo: 5, reconnect_delay: 2, ctrl_loss_tmo: -1 } as const;

/** What is only asked something is not waited for. */
const ONCE = { reconnect_delay: 1, ctrl_loss_tmo: 0 } as const;

/** What a kernel says when it, or the server, has no digests: of the option, of the algorithm, of the answer. */
const WITHOUT_DIGESTS = ['EINVAL', 'ENOENT', 'EOPNOTSUPP', 'EPROTO'];

/** The line for {@link NVME_FABRICS}: fabrics.c, `opt_tokens`. */
export function fabricsOptions(
  nqn: string,
  { address, port }: Portal,
  host: Host,
  hasDigests: boolean,
): string {
  const { identity, secret } = host;
  const isDiscovery = nqn === DISCOVERY_NQN;
  const options: readonly (readonly [string, string | number] | readonly [string])[] = [
    ['transport', 'tcp'],
    ['traddr', address],
    ['trsvcid', port],
    ['nqn', nqn],
    ...(identity === undefined
      ? []
      : ([
          ['hostnqn', identity.nqn],
          ['hostid', identity.id],
        ] as const)),
    ...Object.entries(isDiscovery ? ONCE : FOREVER),
    ...(hasDigests && !isDiscovery ? ([['hdr_digest'], ['data_digest']] as const) : []),
    ...(secret === undefined ? [] : ([['dhchap_secret', secret]] as const)),
  ];
  return options.map((option) => option.join('=')).join(',');
}

/**
 * Connects this machine with a subsystem; with digests over heads and data where the server has them.
 *
 * @throws RdpullError nvme-missing, not-root, nvme-failed; connection-refused, connection-timeout, host-unreachable, connection-lost;
 *   nvme-subsystem-unknown, nvme-denied, nvme-busy when the server refuses
 */
export async function connectSubsystem(nqn: string, portal: Portal, host: Host): Promise<Connected> {
  await requireAuthentication(host);
  using messages = openKernelMessages();
  for (const hasDigests of nqn === DISCOVERY_NQN ? [false] : [true, false]) {
    try {
      const instance = await connectController(fabricsOptions(nqn, portal, host, hasDigests));
      return { instance, wasConnected: false };
    } catch (error) {
      if (hasDigests && isSystemError(error, ...WITHOUT_DIGESTS)) continue;
      const connected = isSystemError(error, 'EALREADY') ? connectedAlready(nqn, portal) : undefined;
      if (connected !== undefined) return { instance: connected, wasConnected: true };
      throw connectError(nqn, portal, error, messages);
    }
  }
  throw new Error('nothing was tried');
}

/** @throws RdpullError nvme-failed, when there is a secret and the kernel cannot use it */
async function requireAuthentication({ secret }: Host): Promise<void> {
  if (secret === undefined) return;
  const known = await knownFabricsOptions().catch((error: unknown) => {
    throw openError(error);
  });
  if (known?.has('dhchap_secret') === true) return;
  throw new RdpullError(
    'nvme-failed',
    'there is a secret for the NVMe server (rdpull.dhchap-secret), and this kernel has no DH-HMAC-CHAP to use it with',
    'boot a kernel with CONFIG_NVME_HOST_AUTH, or remove the credential where the server asks for none',
  );
}

function connectedAlready(nqn: string, { address, port }: Portal): number | undefined {
  return tcpControllers().find((each) => each.nqn === nqn && each.address === address && each.port === port)
    ?.instance;
}

/** Of errors of the way to the server: what they are called, what they say, and what to try. */
const WAY: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  ECONNREFUSED: ['connection-refused', 'nobody listens there', NOBODY_LISTENS],
  ETIMEDOUT: [
    'connection-timeout',
    'the host does not answer',
    'check that it is switched on, the network to it, and any firewall between',
  ],
  EHOSTUNREACH: [
    'host-unreachable',
    'there is no route to it',
    'check the cable, the address (ip addr) and the route (ip route)',
  ],
  ENETUNREACH: [
    'host-unreachable',
    'there is no route to its network',
    'check the cable, the address (ip addr) and the route (ip route)',
  ],
  EADDRNOTAVAIL: [
    'host-unreachable',
    'there is no address to reach it from',
    'check the address (ip addr) and the route (ip route)',
  ],
  ECONNRESET: [
    'connection-lost',
    'it has ended the connection',
    'check that the port speaks NVMe over TCP, and the log of the target',
  ],
  ECONNABORTED: ['connection-lost', 'the connection was ended', 'check the log of the target, and try again'],
  EPIPE: [
    'connection-lost',
    'it has ended the connection',
    'check that the port speaks NVMe over TCP, and the log of the target',
  ],
  EAGAIN: [
    'connection-timeout',
    'it takes connections, and says nothing',
    'check that the port speaks NVMe over TCP',
  ],
};

/** What it means that the kernel could not connect; what the server has refused, the kernel says only in its log. */
function connectError(nqn: string, portal: Portal, error: unknown, messages: KernelMessages): RdpullError {
  const where = shownPortal(portal);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const way = WAY[code];
  if (way !== undefined) return new RdpullError(way[0], `${where}: ${way[1]}`, way[2], { cause: error });
  if (!isSystemError(error, 'EIO', 'EKEYREJECTED', 'ENOKEY', 'EINVAL')) return openError(error);
  const said = refusal(messages.read());
  const told = said === undefined ? '' : ` (the kernel says: ${printable(said)})`;
  const isKey = isSystemError(error, 'EKEYREJECTED', 'ENOKEY') || /authenticat|DH-HMAC/i.test(said ?? '');
  if (isKey) {
    return new RdpullError(
      'nvme-denied',
      `${where}: the server does not let this machine have ${nqn}: authentication failed${told}`,
      'give this machine the secret that the target has for it, as the credential rdpull.dhchap-secret (DHHC-1:...)',
      { cause: error },
    );
  }
  if (/not allowed|hostnqn/i.test(said ?? '')) {
    return new RdpullError(
      'nvme-denied',
      `${where}: the server does not let this machine have ${nqn}${told}`,
      'allow the host NQN of this machine there, or write the one that is allowed into /etc/nvme/hostnqn',
      { cause: error },
    );
  }
  if (/busy|not available/i.test(said ?? '')) {
    return new RdpullError(
      'nvme-busy',
      `${where}: ${nqn} is in use by another machine, or by this one before it was reset${told}`,
      'wait a minute; an image that is served for writing is for one machine at a time',
      { cause: error },
    );
  }
  if (isSystemError(error, 'EINVAL')) {
    return new RdpullError(
      'nvme-failed',
      `${where}: the kernel does not connect with ${nqn}${told}`,
      'see what it says: dmesg | grep nvme',
      { cause: error },
    );
  }
  return new RdpullError(
    'nvme-subsystem-unknown',
    `${where}: the server answers, and does not have ${nqn}${told}`,
    'compare the name with what the target says of itself; without it, rdpull asks the server: nvme+tcp://HOST:PORT',
    { cause: error },
  );
}

/** The line about a refused connection, which says more than the one that ends the attempt. */
function refusal(lines: readonly string[]): string | undefined {
  const own = lines.filter((line) => /^nvme /.test(line));
  return own.findLast((line) => /: (?:Connect |qid \d+: )/.test(line)) ?? own.at(-1);
}

/** What it means that the device of the fabrics cannot be used. */
export function openError(error: unknown): RdpullError {
  if (isSystemError(error, 'EACCES', 'EPERM')) {
    return new RdpullError(
      'not-root',
      'connecting over NVMe needs root (CAP_SYS_ADMIN)',
      'run it again as root',
      { cause: error },
    );
  }
  if (isSystemError(error, 'ENOENT', 'ENODEV', 'ENXIO')) return fabricsMissing(error);
  return new RdpullError(
    'nvme-failed',
    `the kernel does not connect: ${reasonOf(error)}`,
    'see what it says: dmesg | grep nvme',
    { cause: error },
  );
}

function fabricsMissing(cause: unknown): RdpullError {
  return new RdpullError(
    'nvme-missing',
    `this kernel has no NVMe over TCP: ${NVME_FABRICS} is not there`,
    'load the module with "modprobe nvme-tcp"; an initrd must hold it: add_drivers+=" nvme-tcp " for dracut, KernelInitrdModules=/drivers/nvme/ for mkosi',
    { cause },
  );
}
