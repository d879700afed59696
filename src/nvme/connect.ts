import { RdpullError } from '../console/rdpull-error.ts';
import { openKernelMessages } from '../kernel/kernel-messages.ts';
import { connectController, fabricsTurn, knownFabricsOptions } from '../kernel/nvme-fabrics.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { DISCOVERY_NQN } from '../request/nvme-url.ts';
import { connectError, openError } from './connect-error.ts';
import { hideSecrets, tcpControllers } from './controllers.ts';
import type { HostIdentity } from './host-identity.ts';
import type { Portal } from './portal.ts';
import type { DhchapSecrets } from './secret.ts';

/** Who asks: what a target may want to know. */
export interface Host {
  readonly identity: HostIdentity | undefined;
  readonly secrets: DhchapSecrets | undefined;
}

/** A controller that was connected, or was so already. */
export interface Connected {
  readonly instance: number;
  readonly wasConnected: boolean;
  /** Whether heads and data carry digests; also where it was connected already. */
  readonly hasDigests: boolean;
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
  const { identity, secrets } = host;
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
    ...(secrets === undefined ? [] : ([['dhchap_secret', secrets.host]] as const)),
    ...(secrets?.controller === undefined ? [] : ([['dhchap_ctrl_secret', secrets.controller]] as const)),
  ];
  return options.map((option) => option.join('=')).join(',');
}

/**
 * Connects this machine with a subsystem; with digests over heads and data where the server has them.
 *
 * @throws RdpullError nvme-missing, not-root, nvme-failed; connection-refused, connection-timeout, host-unreachable, connection-lost;
 *   nvme-subsystem-unknown, nvme-denied, nvme-busy when the server refuses; the reason of the signal
 */
export async function connectSubsystem(
  nqn: string,
  portal: Portal,
  host: Host,
  signal: AbortSignal,
): Promise<Connected> {
  await requireAuthentication(host);
  // What the kernel says is of the attempt that is made here.
  await using _ = await fabricsTurn(signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw openError(error);
  });
  using messages = openKernelMessages();
  for (const hasDigests of nqn === DISCOVERY_NQN ? [false] : [true, false]) {
    try {
      const instance = await connectController(fabricsOptions(nqn, portal, host, hasDigests));
      if (host.secrets !== undefined) hideSecrets(instance);
      return { instance, wasConnected: false, hasDigests };
    } catch (error) {
      if (hasDigests && isSystemError(error, ...WITHOUT_DIGESTS)) continue;
      const connected = isSystemError(error, 'EALREADY') ? connectedAlready(nqn, portal) : undefined;
      if (connected !== undefined) return { instance: connected, wasConnected: true, hasDigests };
      const hasSecret = host.secrets !== undefined;
      throw connectError({ nqn, portal, error, lines: messages.read(), hasSecret });
    }
  }
  throw new Error('nothing was tried');
}

/** @throws RdpullError nvme-failed, when there is a secret and the kernel cannot use it */
async function requireAuthentication({ secrets }: Host): Promise<void> {
  if (secrets === undefined) return;
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
