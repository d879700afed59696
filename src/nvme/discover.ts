import { RdpullError } from '../console/rdpull-error.ts';
import { DISCOVERY_NQN } from '../request/nvme-url.ts';
import { type OpenController, openController } from './admin-query.ts';
import { connectSubsystem, type Host } from './connect.ts';
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
  signal: AbortSignal,
): Promise<readonly DiscoveredSubsystem[]> {
  const { instance, wasConnected } = await connectSubsystem(DISCOVERY_NQN, portal, host, signal);
  try {
    return readLog(instance, portal);
  } finally {
    if (!wasConnected) deleteController(instance);
  }
}

function readLog(instance: number, portal: Portal): readonly DiscoveredSubsystem[] {
  using controller = openController(instance, shownPortal(portal));
  for (let reads = 0; reads < READS; reads++) {
    const head = readHead(controller);
    const entries = readEntries(controller, head);
    if (readHead(controller).generation === head.generation) return parseLogEntries(entries);
  }
  throw new RdpullError(
    'nvme-failed',
    `${shownPortal(portal)}: the list of subsystems changes all the time`,
    'try again, or name the subsystem in the URL',
  );
}

function readHead(controller: OpenController): LogHead {
  return parseLogHead(readPart(controller, 0, LOG_HEAD));
}

function readEntries(controller: OpenController, { entries }: LogHead): Uint8Array {
  const whole = new Uint8Array(entries * LOG_ENTRY);
  for (let at = 0; at < whole.length; at += PART) {
    whole.set(readPart(controller, LOG_HEAD + at, Math.min(PART, whole.length - at)), at);
  }
  return whole;
}

function readPart(controller: OpenController, offset: number, length: number): Uint8Array {
  const dwords = length / 4 - 1;
  // NUMDL and the identifier, NUMDU, and the offset.
  const first = (((dwords & 0xffff) << 16) | DISCOVERY_LOG) >>> 0;
  return controller.ask(
    { opcode: GET_LOG_PAGE, dwords: [first, dwords >>> 16, offset, 0], length },
    'what it has',
  );
}
