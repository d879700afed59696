import { type LeftBehind, retryCommand } from './retry-command.ts';
import type { TransferState, TransferStatus } from './transfer-status.ts';

/** Of these it makes sense to do them again. */
const UNFINISHED: readonly TransferState[] = ['failed', 'interrupted', 'killed', 'planned', 'unrecorded'];

/** What would do a transfer again, where that makes sense. */
export function retryOf(transfer: TransferStatus): string | undefined {
  const { state, record, unit } = transfer;
  if (!UNFINISHED.includes(state)) return undefined;
  const command = record === undefined || record.command.length === 0 ? unit?.command : record.command;
  if (command === undefined || command.length === 0) return undefined;
  // What the process that failed was given is not known here; a unit that is still there gives it again.
  return retryCommand(command, leftBehind(transfer), { unit: unit?.name, environment: {} });
}

function leftBehind({ record, presence }: TransferStatus): LeftBehind {
  if (!presence.exists || record?.state !== 'failed') return 'nothing';
  if (record.isWhole === true) return 'complete';
  if (record.error?.code !== 'target-exists') return 'nothing';
  return presence.devices.length > 0 || presence.mounts.length > 0 ? 'used' : 'another';
}
