import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { adminCommand } from '../kernel/nvme-fabrics.ts';
import { connectSubsystem, DISCOVERY_NQN, type Host } from './connect.ts';
import { deleteController } from './controllers.ts';
import {
  DISCOVERY_LOG,
  type DiscoveredSubsystem,
  LOG_ENTRY,
  LOG_HEAD,
  type LogHead,
  parseLogEntries,
  parseLogHead,
} from './discovery-log.ts';
import { type Portal, shownPortal } from './portal.ts';

/** NVM Express Base Specification, "Get Log Page". */
const GET_LOG_PAGE = 0x02;

/** Bytes that every controller gives in one answer. */
const PART = 4096;

/** A log that changes while it is read is read again, so many times. */
const READS = 4;

/**
 * What a server has, as its discovery controller says.
 *
 * @throws RdpullError as {@link connectSubsystem}
 */
export async function discoverSubsystems(
  portal: Portal,
  host: Host,
): Promise<readonly DiscoveredSubsystem[]> {
  const { instance, wasConnected } = await connectSubsystem(DISCOVERY_NQN, portal, host);
  try {
    return readLog(instance, portal);
  } finally {
    if (!wasConnected) deleteController(instance);
  }
}

function readLog(instance: number, portal: Portal): readonly DiscoveredSubsystem[] {
  const fd = fs.openSync(`/dev/nvme${instance}`, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  try {
    for (let reads = 0; reads < READS; reads++) {
      const head = readHead(fd, portal);
      const entries = readEntries(fd, head, portal);
      if (readHead(fd, portal).generation === head.generation) return parseLogEntries(entries);
    }
  } finally {
    fs.closeSync(fd);
  }
  throw new RdpullError(
    'nvme-failed',
    `${shownPortal(portal)}: the list of subsystems changes all the time`,
    'try again, or name the subsystem in the URL',
  );
}

function readHead(fd: number, portal: Portal): LogHead {
  return parseLogHead(readPart(fd, 0, LOG_HEAD, portal));
}

function readEntries(fd: number, { entries }: LogHead, portal: Portal): Uint8Array {
  const whole = new Uint8Array(entries * LOG_ENTRY);
  for (let at = 0; at < whole.length; at += PART) {
    whole.set(readPart(fd, LOG_HEAD + at, Math.min(PART, whole.length - at), portal), at);
  }
  return whole;
}

function readPart(fd: number, offset: number, length: number, portal: Portal): Uint8Array {
  const dwords = length / 4 - 1;
  const answer = adminCommand(fd, {
    opcode: GET_LOG_PAGE,
    // NUMDL and the identifier, NUMDU, and the offset.
    dwords: [(((dwords & 0xffff) << 16) | DISCOVERY_LOG) >>> 0, dwords >>> 16, offset, 0],
    length,
  });
  if (typeof answer !== 'number') return answer;
  throw new RdpullError(
    'nvme-failed',
    `${shownPortal(portal)}: the server does not say what it has (status 0x${answer.toString(16)})`,
    'name the subsystem in the URL: nvme+tcp://HOST:PORT/SUBSYSTEM-NQN',
  );
}
