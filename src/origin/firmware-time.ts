import fs from 'node:fs';
import { decodeEfiString, EFIVARFS, readEfiVariable } from './efi-variable.ts';

/**
 * When the boot loader, or the UKI, ended the services of the firmware, in ns since the machine was switched on: the Firmware Basic Boot
 * Performance Record (ACPI specification, section 5.2.23.6), as Linux has it since 5.12 (sysfs-firmware-acpi).
 */
const FPDT = 'sys/firmware/acpi/fpdt/boot/exitbootservice_end_ns';

/** When the boot loader started the kernel, in µs since the machine was switched on: the Boot Loader Interface, https://systemd.io/BOOT_LOADER_INTERFACE. */
const LOADER_TIME = 'LoaderTimeExecUSec-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';

/** A firmware that takes longer than a day has counted something else. */
const LONGEST = 86_400_000;

/**
 * How long the firmware was at work, and the boot loader, before the kernel was, in ms; undefined where neither has written it down.
 *
 * @param root where sys lies
 * @throws RdpullError file-unreadable
 */
export function firmwareTime(root = '/', efivars = EFIVARFS): number | undefined {
  const record = readOptional(`${root}${FPDT}`);
  const variable = record === undefined ? readEfiVariable(LOADER_TIME, efivars) : undefined;
  const [text, scale] =
    record !== undefined
      ? [record.trim(), 1_000_000]
      : [variable === undefined ? '' : decodeEfiString(variable), 1000];
  const milliseconds = /^\d{1,20}$/.test(text) ? Math.round(Number(text) / scale) : 0;
  return milliseconds > 0 && milliseconds < LONGEST ? milliseconds : undefined;
}

function readOptional(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
