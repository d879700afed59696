import { printable } from '../console/printable.ts';
import { type ErrorCode, RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { NVME_FABRICS } from '../kernel/nvme-fabrics.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { NOBODY_LISTENS, type Portal, shownPortal } from './portal.ts';

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

/** An attempt to connect that has failed. */
export interface FailedAttempt {
  readonly nqn: string;
  readonly portal: Portal;
  readonly error: unknown;
  /** What the kernel has said meanwhile. */
  readonly lines: readonly string[];
  /** Whether this machine has a secret to authenticate itself with. */
  readonly hasSecret: boolean;
}

/** What it means that the kernel could not connect; what the server has refused, the kernel says only in its log. */
export function connectError(attempt: FailedAttempt): RdpullError {
  const { portal, error } = attempt;
  // Also a refused secret is an ECONNREFUSED.
  const refused = refusedAuthentication(attempt);
  if (refused !== undefined) return refused;
  const way = WAY[codeOf(error)];
  if (way !== undefined)
    return new RdpullError(way[0], `${shownPortal(portal)}: ${way[1]}`, way[2], { cause: error });
  return isSystemError(error, 'EIO', 'EINVAL') ? refusedConnection(attempt) : openError(error);
}

/** What a server has refused, by the kernel's line about it: drivers/nvme/host/fabrics.c, `nvmf_log_connect_error()`. */
function refusedConnection({ nqn, portal, error, lines }: FailedAttempt): RdpullError {
  const where = shownPortal(portal);
  const line = refusedLine(lines);
  const told = line === undefined ? '' : ` (the kernel says: ${printable(line)})`;
  const refusal = (code: ErrorCode, what: string, hint: string) =>
    new RdpullError(code, `${where}: ${what}${told}`, hint, { cause: error });
  if (/not allowed|hostnqn/i.test(line ?? '')) {
    return refusal(
      'nvme-denied',
      `the server does not let this machine have ${nqn}`,
      'allow the host NQN of this machine there, or write the one that is allowed into /etc/nvme/hostnqn',
    );
  }
  if (/busy|not available/i.test(line ?? '')) {
    return refusal(
      'nvme-busy',
      `${nqn} is in use by another machine, or by this one before it was reset`,
      'wait a minute; an image that is served for writing is for one machine at a time',
    );
  }
  // Where the log is closed to it, rdpull knows no more than that it was refused: most often the name is wrong.
  const isName = line === undefined || /subsysnqn/i.test(line);
  if (isSystemError(error, 'EINVAL') || !isName) {
    return refusal(
      'nvme-failed',
      `the kernel does not connect with ${nqn}`,
      'see what it says: dmesg | grep nvme; and look at the log of the target',
    );
  }
  return refusal(
    'nvme-subsystem-unknown',
    `the server answers, and does not have ${nqn}`,
    'compare the name with what the target says of itself; without it, rdpull asks the server: nvme+tcp://HOST:PORT',
  );
}

/**
 * What went wrong where a server wants to know who this machine is; undefined where that is not what went wrong. Of the errors of the
 * kernel (drivers/nvme/host/auth.c) each may mean something else as well.
 */
function refusedAuthentication({
  nqn,
  portal,
  error,
  lines,
  hasSecret,
}: FailedAttempt): RdpullError | undefined {
  const isSaid = (what: RegExp) => lines.some((line) => /^nvme /.test(line) && what.test(line));
  if (!isSystemError(error, 'EKEYREJECTED', 'ENOKEY') && !isSaid(/: qid \d+:? .*(?:authenticat|no key)/i))
    return undefined;
  const where = shownPortal(portal);
  const refusal = (code: ErrorCode, what: string, hint: string) =>
    new RdpullError(code, `${where}: ${what}`, hint, { cause: error });
  // A kernel that can do it says what it lacks before it says so.
  if (isSaid(/authentication setup failed/) && !isSaid(/no key|invalid ctrl key/)) {
    return refusal(
      'nvme-failed',
      `the server asks this machine to authenticate itself for ${nqn}, and this kernel has no DH-HMAC-CHAP`,
      'boot a kernel with CONFIG_NVME_HOST_AUTH, or let the target ask for no secret',
    );
  }
  if (!hasSecret) {
    return refusal(
      'nvme-denied',
      `the server asks for a secret for ${nqn}, and this machine has none`,
      'give this machine the one that the target has for it, as the credential rdpull.dhchap-secret (DHHC-1:...)',
    );
  }
  // 401 is NVME_SC_AUTH_REQUIRED, by which older kernels tell that a secret was refused; by any other nobody has refused anything.
  if (isSystemError(error, 'EIO') && !isSaid(/ret=401$/)) {
    return refusal(
      'connection-lost',
      `the server does not answer while this machine authenticates itself for ${nqn}`,
      'try again; if it happens again, look at the log of the target, which waits five seconds for each answer',
    );
  }
  if (isSaid(/controller authentication failed/)) {
    return refusal(
      'nvme-denied',
      `the server does not show itself with the secret that it should have for ${nqn}`,
      'compare the credential rdpull.dhchap-ctrl-secret with what the target has; if they are the same, somebody else answers',
    );
  }
  return refusal(
    'nvme-denied',
    `the server does not take the secret of this machine for ${nqn}`,
    'compare the credential rdpull.dhchap-secret with what the target has for the host NQN of this machine',
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** The line about a refused connection, which says more than the one that ends the attempt. */
function refusedLine(lines: readonly string[]): string | undefined {
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
