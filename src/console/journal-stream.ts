import fs from 'node:fs';

/**
 * Whether the journal reads standard error: `$JOURNAL_STREAM` names its device and inode (systemd.exec(5)), and may be
 * inherited by a process whose standard error goes elsewhere.
 */
export function isReadByJournal(): boolean {
  const { JOURNAL_STREAM: stream } = process.env;
  if (stream === undefined) return false;
  const { dev, ino } = fs.fstatSync(2);
  return stream === `${dev}:${ino}`;
}
