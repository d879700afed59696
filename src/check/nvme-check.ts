import { RdpullError } from '../console/rdpull-error.ts';
import { nvmeServer } from '../nvme/boot-server.ts';
import { discoveryPorts, NOBODY_LISTENS, NVME_PORT, shownPortal } from '../nvme/portal.ts';
import { NVME_VOUCHER } from '../request/nvme-request.ts';
import { formatNvmeUrl, type NvmeUrl } from '../request/nvme-url.ts';
import { dial } from '../source/dial.ts';
import { networkError } from '../source/network-error.ts';
import { type Findings, found } from './finding.ts';

/** How long a server may take to take a connection, in ms. */
const SILENCE = 10_000;

/**
 * Whether somebody listens where a disk is to come from. What there is, only the kernel asks, and not beforehand: a machine that has
 * asked is connected.
 *
 * @param bootUrl where the machine will have been booted from; undefined where nobody says so
 * @returns the URL, as far as it is known
 */
export async function checkNvmeServer(
  url: NvmeUrl,
  bootUrl: string | undefined,
  signal: AbortSignal,
  findings: Findings,
): Promise<string | undefined> {
  const host = url.host ?? (bootUrl === undefined ? undefined : nvmeServer(bootUrl));
  if (host === undefined) {
    findings.warn(
      'url',
      'nvme+tcp: this machine was not booted over HTTP, so that the server is not known; a machine booted from a disk attaches nothing',
      'say where it will be booted from: --boot-url=http://HOST/image.efi',
    );
    return undefined;
  }
  const whole = formatNvmeUrl({ ...url, host });
  findings.ok('url', whole);
  findings.warn(
    'checksum',
    'verify=no: nobody vouches for what comes over NVMe, at any time, unless dm-verity checks each block',
    NVME_VOUCHER,
  );
  const ports = url.nqn === undefined ? discoveryPorts(url) : [url.port ?? NVME_PORT];
  await found(findings, 'server', signal, async () => {
    const listening = await firstListening(host, ports, signal);
    findings.ok(
      'server',
      `${listening} takes connections; ${url.nqn === undefined ? 'what it has, the kernel asks at boot' : 'whether it has the subsystem is seen at boot'}`,
    );
  });
  return whole;
}

/** @throws RdpullError of the network family, of the port that is tried first */
async function firstListening(host: string, ports: readonly number[], signal: AbortSignal): Promise<string> {
  const failures: RdpullError[] = [];
  for (const port of ports) {
    const shown = shownPortal({ address: host, port });
    try {
      const socket = await dial(host, port, signal, SILENCE);
      socket.destroy();
      return shown;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message, hint } = networkError(shown, error);
      failures.push(new RdpullError(code, message, code === 'connection-refused' ? NOBODY_LISTENS : hint));
    }
  }
  throw failures[0] ?? new Error('there is no port to try');
}
