import fs from 'node:fs';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { isSystemError } from '../kernel/system-error.ts';

/** Where efivarfs is mounted: one file a variable, called NAME-GUID. */
export const EFIVARFS = '/sys/firmware/efi/efivars';

/** The firmware's own variables: EFI_GLOBAL_VARIABLE, UEFI specification section 3.3. */
export const GLOBAL_GUID = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

/** Every file starts with the variable's attributes, 32 bits that nobody here needs. */
const ATTRIBUTES_LENGTH = 4;

/** The largest payload that is read, in bytes: systemd's own limit. */
const LONGEST = 4 * 1024 * 1024;

/** What a file of the longest payload holds. */
const LONGEST_FILE = ATTRIBUTES_LENGTH + LONGEST;

/** Bytes that suffice for nearly every variable. */
const FIRST_READ = 16 * 1024;

/**
 * The payload of an EFI variable; undefined when it does not exist or is empty (as one that the kernel has created
 * but not committed).
 *
 * @param name with its GUID, as the file is called
 * @param directory where efivarfs is mounted
 * @throws RdpullError file-unreadable when it exists and cannot be read
 */
export function readEfiVariable(name: string, directory: string): Uint8Array | undefined {
  const path = `${directory}/${name}`;
  let content: Uint8Array;
  try {
    content = readWhole(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw unreadable(path, reasonOf(error), error);
  }
  if (content.length === 0 || content.length === ATTRIBUTES_LENGTH) return undefined;
  if (content.length < ATTRIBUTES_LENGTH) {
    throw unreadable(path, `its ${content.length} bytes are too few for the attributes alone`);
  }
  if (content.length > LONGEST_FILE) {
    throw unreadable(path, `it is longer than ${LONGEST} bytes`);
  }
  return content.subarray(ATTRIBUTES_LENGTH);
}

/**
 * The text in a variable's payload: UTF-16LE up to the first NUL. Half a character and half a pair of surrogates
 * are left out.
 */
export function decodeEfiString(payload: Uint8Array): string {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf16le');
  const end = text.indexOf('\0');
  return (end < 0 ? text : text.slice(0, end)).replace(/\p{Cs}/gu, '');
}

/**
 * The whole file, or the first byte too many of one that is too long. In a single read, because that alone is one
 * state of the variable. efivarfs answers it with EINTR when a signal arrives while it slows its reader down (Linux
 * fs/efivarfs/file.c); the runtime then reads again.
 */
function readWhole(path: string): Uint8Array {
  const file = fs.openSync(path, 'r');
  try {
    for (let capacity = FIRST_READ; ; capacity *= 16) {
      const buffer = new Uint8Array(Math.min(capacity, LONGEST_FILE + 1));
      const length = fs.readSync(file, buffer, 0, buffer.length, 0);
      if (length < buffer.length || length > LONGEST_FILE) return buffer.subarray(0, length);
    }
  } finally {
    fs.closeSync(file);
  }
}

function unreadable(path: string, why: string, cause?: unknown): RdpullError {
  return new RdpullError(
    'file-unreadable',
    `the EFI variable ${path} cannot be read: ${why}`,
    'write the whole URL into the pull expression instead of bootorigin',
    { cause },
  );
}
