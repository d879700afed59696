import fs from 'node:fs';
import { isSystemError } from './system-error.ts';

/**
 * The names in a directory of sysfs(5); none when the device has just gone, or never was.
 *
 * @throws Error of node:fs
 */
export function sysfsEntries(path: string): string[] {
  try {
    return fs.readdirSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}
