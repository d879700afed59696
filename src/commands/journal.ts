import { encodeJournalEntry } from '../console/journal-entry.ts';
import { isReadByJournal } from '../console/journal-stream.ts';
import type { SendToJournal } from '../console/reporter.ts';

/** Where systemd-journald takes entries in its native protocol. */
const SOCKET = '/run/systemd/journal/socket';

/**
 * The way to the journal, where it reads standard error: entries with fields, where standard error has only lines.
 * Undefined where somebody else reads it.
 */
export async function connectJournal(): Promise<SendToJournal | undefined> {
  if (!isReadByJournal()) return undefined;
  // Only here, because it opens the way into libc.
  const { UnixDatagram } = await import('../kernel/unix-datagram.ts');
  let socket: InstanceType<typeof UnixDatagram> | undefined;
  try {
    socket = new UnixDatagram(SOCKET);
  } catch {
    return undefined;
  }
  return (fields) => {
    if (socket === undefined) return false;
    try {
      socket.send(encodeJournalEntry(fields));
      return true;
    } catch {
      // What did not work now would not work for the next entry either, and may take a second to find out.
      socket[Symbol.dispose]();
      socket = undefined;
      return false;
    }
  };
}
