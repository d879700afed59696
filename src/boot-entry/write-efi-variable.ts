import fs from 'node:fs';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { setImmutable } from '../kernel/inode-flags.ts';
import { isSystemError } from '../kernel/system-error.ts';

/** EFI_VARIABLE_NON_VOLATILE, _BOOTSERVICE_ACCESS and _RUNTIME_ACCESS: UEFI specification 2.10, section 8.2.1. */
const ATTRIBUTES = 7;

/**
 * Gives an EFI variable a value, or a new one, and makes sure that the firmware has taken it.
 *
 * @param name with its GUID, as the file is called
 * @param directory where efivarfs is mounted
 * @throws RdpullError target-unwritable, disk-full, storage-failed
 */
export function writeEfiVariable(name: string, payload: Uint8Array, directory: string): void {
  const path = `${directory}/${name}`;
  const content = Buffer.concat([Uint8Array.of(ATTRIBUTES, 0, 0, 0), payload]);
  changing(path, () => {
    // efivarfs passes each write(2) on as a whole value (Linux fs/efivarfs/file.c).
    const file = fs.openSync(path, 'w', 0o644);
    try {
      fs.writeSync(file, content);
    } finally {
      fs.closeSync(file);
    }
  });
  if (content.equals(fs.readFileSync(path))) return;
  throw new RdpullError(
    'storage-failed',
    `the firmware has not kept what was written to the EFI variable ${path}`,
    'look into its setup for what protects boot entries, or make the entry there',
  );
}

/**
 * Removes an EFI variable, if it is there.
 *
 * @throws RdpullError target-unwritable
 */
export function removeEfiVariable(name: string, directory: string): void {
  const path = `${directory}/${name}`;
  changing(path, () => fs.rmSync(path, { force: true }));
}

/**
 * The kernel makes variables immutable that it does not know to be harmless, boot entries not among them; some distributions'
 * kernels know fewer (Linux fs/efivarfs/vars.c). What is there afterwards is as immutable as it was.
 */
function changing(path: string, change: () => void): void {
  try {
    const wasImmutable = setFlag(path, false);
    try {
      change();
    } finally {
      if (wasImmutable) setFlag(path, true);
    }
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** @returns whether it was immutable; false where there is no such file, or nothing that can be */
function setFlag(path: string, immutable: boolean): boolean {
  let file: number;
  try {
    file = fs.openSync(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
  try {
    return setImmutable(file, immutable);
  } catch (error) {
    if (isSystemError(error, 'ENOTTY', 'EOPNOTSUPP')) return false;
    throw error;
  } finally {
    fs.closeSync(file);
  }
}

function unwritable(path: string, error: unknown): RdpullError {
  const what = `the EFI variable ${path} cannot be changed: ${reasonOf(error)}`;
  if (isSystemError(error, 'ENOSPC')) {
    const hint =
      'the memory of the firmware is full: remove entries that nobody needs (rdpull boot-entry list)';
    return new RdpullError('disk-full', what, hint, { cause: error });
  }
  const hint = isSystemError(error, 'EROFS')
    ? `mount -o remount,rw ${path.slice(0, path.lastIndexOf('/'))}`
    : 'look into the setup of the firmware for what protects boot entries';
  return new RdpullError('target-unwritable', what, hint, { cause: error });
}
