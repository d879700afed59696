import fs from 'node:fs';
import path from 'node:path';

/** Below `/run`, which the real root takes over: systemd.unit(5). */
export const RUNTIME_UNITS = '/run/systemd/system';

/**
 * Copies the file of a unit to where the service manager of the real root finds it, too. A unit that it does not know is
 * stopped when it begins, whatever the process of it has asked for.
 *
 * @param unit its path, anywhere
 * @throws Error of node:fs
 */
export function carryUnit(unit: string): void {
  const copy = path.join(RUNTIME_UNITS, path.basename(unit));
  if (fs.existsSync(copy)) return;
  fs.mkdirSync(RUNTIME_UNITS, { recursive: true });
  // PID 1 may read it at any time.
  fs.copyFileSync(unit, `${copy}.new`);
  fs.renameSync(`${copy}.new`, copy);
}
