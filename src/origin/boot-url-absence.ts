import fs from 'node:fs';
import path from 'node:path';
import { findBootOrigin } from './boot-origin.ts';
import { EFIVARFS } from './efi-variable.ts';

/**
 * Whether it is certain that this machine was not booted over HTTP: it has no EFI, or the variables are there and none
 * says a URL. Variables that cannot be read, or that say what is no URL, are for the pull to complain about.
 *
 * @param efivars where efivarfs is mounted, if it is mounted already
 */
export function lacksBootUrl(efivars: string = EFIVARFS): boolean {
  try {
    if (!fs.existsSync(path.dirname(efivars))) return true;
    return fs.readdirSync(efivars).length > 0 && findBootOrigin({ efivars }) === undefined;
  } catch {
    return false;
  }
}
