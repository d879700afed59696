import { encodeJournalEntry } from '../console/journal-entry.ts';
import { isReadByJournal } from '../console/journal-stream.ts';
import type { SendToJournal } from '../console/reporter.ts';
import { unitOfThisProcess } from '../record/own-unit.ts';

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
  const unit = unitOfThisProcess();
  // journald looks up itself whose an entry is, and finds nothing when the process has ended by then. By this field, journalctl --unit=
  // finds it all the same (systemd.journal-fields(7)).
  const own: readonly [string, string][] = unit === undefined ? [] : [['OBJECT_SYSTEMD_UNIT', unit]];
  return (fields) => {
    if (socket === undefined) return false;
    try {
      socket.send(encodeJournalEntry(new Map([...fields, ...own])));
      return true;
    } catch {
      // What did not work now would not work for the next entry either, and may take a second to find out.
      socket[Symbol.dispose]();
      socket = undefined;
      return false;
    }
  };
}
