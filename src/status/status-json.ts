import type { RecordedCache } from '../record/transfer-record.ts';
import { overlayJson } from './overlay-status.ts';
import { retryOf } from './transfer-retry.ts';
import type { StatusReport, TransferStatus } from './transfer-status.ts';

/** `rdpull status --json`, as rdpull-json(7) has it. */
export function statusJson({ overlay, transfers, unreadable }: StatusReport): object {
  return {
    ...(overlay !== undefined && { overlay: overlayJson(overlay) }),
    transfers: transfers.map(transferJson),
    unreadable,
  };
}

function transferJson(transfer: TransferStatus): object {
  const { state, target, record, unit, presence } = transfer;
  const unitName = unit?.name ?? record?.unit;
  const source = record?.url ?? unit?.source;
  const retry = retryOf(transfer);
  return {
    state,
    target,
    exists: presence.exists,
    devices: presence.devices,
    mounts: presence.mounts,
    ...(presence.gone !== undefined && { gone: presence.gone }),
    ...(source !== undefined && { source }),
    ...(unitName !== undefined && { unit: unitName }),
    ...(record !== undefined && {
      verify: record.verify,
      begun: record.begun.wall,
      updated: record.updated.wall,
      milliseconds: record.updated.boot - record.begun.boot,
      received: record.received,
      decoded: record.decoded,
      total: record.total,
      sha256: record.sha256,
      promised: record.promised,
      onDemand: record.onDemand,
      cache: cacheJson(record.cache),
      root: record.root,
      error: record.error,
      note: record.note,
      pid: record.process.pid,
    }),
    ...(retry !== undefined && { retry }),
  };
}

function cacheJson(cache: RecordedCache | undefined): object | undefined {
  if (cache === undefined) return undefined;
  const { id: _, ...told } = cache;
  return told;
}
