import { formatHost, type NvmeUrl } from '../request/nvme-url.ts';

/** Where a server listens. */
export interface Portal {
  /** An address, IPv6 perhaps with a zone. */
  readonly address: string;
  readonly port: number;
}

/** Where targets listen: for subsystems, and for who asks what there is (IANA: nvme, nvme-disc). */
export const NVME_PORT = 4420;
const DISCOVERY_PORT = 8009;

/** The ports that are asked what there is. */
export function discoveryPorts({ port }: Pick<NvmeUrl, 'port'>): readonly number[] {
  return port === undefined ? [NVME_PORT, DISCOVERY_PORT] : [port];
}

/** What to try where nobody listens. */
export const NOBODY_LISTENS =
  'check that the target runs (rdpull serve --nvme, mkosi serve, systemd-storagetm), and the port: usual are 4420 and 8009';

/** `10.0.0.1:4420` */
export function shownPortal({ address, port }: Portal): string {
  return `${formatHost(address).replace('%25', '%')}:${port}`;
}
