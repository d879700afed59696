import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { DISCOVERY_NQN, nqnDefect } from '../request/nvme-url.ts';

/**
 * The log page of a discovery controller: NVM Express Base Specification, "Discovery Log Page" (identifier 70h). It comes from the
 * network, and nobody vouches for a byte of it.
 */
export const DISCOVERY_LOG = 0x70;

/** Bytes of the head, and of each entry. */
export const LOG_HEAD = 1024;
export const LOG_ENTRY = 1024;

/** More subsystems than these nobody could tell apart on a console. */
export const ENTRIES_MAX = 256;

/** Of an entry: TRTYPE, ADRFAM, SUBTYPE, TRSVCID, SUBNQN, TRADDR. */
const ENTRY = { transport: 0, family: 1, kind: 2, service: 32, nqn: 256, address: 512 } as const;
const SERVICE_SIZE = 32;
const TEXT_SIZE = 256;

const TCP = 3;
const FAMILIES: Readonly<Record<number, RegExp>> = { 1: /^[0-9.]{7,15}$/, 2: /^(?=.*:)[0-9A-Fa-f:.]{2,45}$/ };
/** A subsystem with namespaces. Others are referrals, to more discovery controllers, which could lead in a circle: nobody follows them. */
const NVM_SUBSYSTEM = 2;

export interface LogHead {
  /** Counts the changes: two parts of a log with different numbers do not belong together. */
  readonly generation: bigint;
  readonly entries: number;
}

/** Where a subsystem can be reached, as the log says. */
export interface DiscoveredSubsystem {
  readonly nqn: string;
  readonly address: string;
  readonly port: number;
}

/** @throws RdpullError nvme-failed */
export function parseLogHead(bytes: Uint8Array): LogHead {
  if (bytes.length < LOG_HEAD) throw unusable('it is too short');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const format = view.getUint16(16, true);
  if (format !== 0) throw unusable(`it has the format ${format}, and 0 is the only one that is known`);
  const entries = view.getBigUint64(8, true);
  if (entries > BigInt(ENTRIES_MAX)) {
    throw unusable(`it lists ${entries} subsystems, ${ENTRIES_MAX} is the limit`);
  }
  return { generation: view.getBigUint64(0, true), entries: Number(entries) };
}

/**
 * The subsystems of entries that can be reached by TCP; the others are left out.
 *
 * @param bytes whole entries
 */
export function parseLogEntries(bytes: Uint8Array): DiscoveredSubsystem[] {
  const found: DiscoveredSubsystem[] = [];
  for (let at = 0; at + LOG_ENTRY <= bytes.length; at += LOG_ENTRY) {
    const entry = bytes.subarray(at, at + LOG_ENTRY);
    if (entry[ENTRY.transport] !== TCP || entry[ENTRY.kind] !== NVM_SUBSYSTEM) continue;
    const nqn = text(entry, ENTRY.nqn, TEXT_SIZE);
    const address = text(entry, ENTRY.address, TEXT_SIZE);
    const service = text(entry, ENTRY.service, SERVICE_SIZE);
    const port = /^\d{1,5}$/.test(service) ? Number(service) : 0;
    const isAddress = FAMILIES[entry[ENTRY.family] ?? 0]?.test(address) === true;
    const isName = nqnDefect(nqn) === undefined && nqn !== DISCOVERY_NQN;
    if (isName && isAddress && port >= 1 && port <= 65_535) found.push({ nqn, address, port });
  }
  return found;
}

/** A field that is filled up with spaces or NUL bytes. */
function text(entry: Uint8Array, offset: number, size: number): string {
  const field = Buffer.from(entry.subarray(offset, offset + size)).toString('latin1');
  const [upToNul = ''] = field.split('\0');
  return upToNul.trimEnd();
}

function unusable(why: string): RdpullError {
  return new RdpullError(
    'nvme-failed',
    `the discovery log of the server cannot be used: ${printable(why)}`,
    'name the subsystem in the URL: nvme+tcp://HOST:PORT/SUBSYSTEM-NQN',
  );
}
