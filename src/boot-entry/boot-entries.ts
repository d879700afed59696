import fs from 'node:fs';
import { devicePathUri } from '../origin/device-path.ts';
import { GLOBAL_GUID, readEfiVariable } from '../origin/efi-variable.ts';
import { type LoadOption, parseLoadOption } from '../origin/load-option.ts';

/** One entry of the firmware's boot menu. */
export interface BootEntry extends LoadOption {
  readonly number: number;
  /** What it boots over HTTP, if that is what it does. */
  readonly url: string | undefined;
}

/** The boot menu: UEFI specification 2.10, section 3.3. */
export interface BootEntries {
  /** By their numbers. Those that are damaged are not among them. */
  readonly entries: readonly BootEntry[];
  /** All numbers that are taken. */
  readonly taken: ReadonlySet<number>;
  /** What the firmware tries, first things first. It may name entries that are not there. */
  readonly order: readonly number[];
  /** What it tries before that, at the next start alone. */
  readonly next: number | undefined;
  /** What this machine was booted from. */
  readonly current: number | undefined;
}

/** The variable that holds an entry. */
export function entryVariable(number: number): string {
  return `Boot${entryNumber(number)}-${GLOBAL_GUID}`;
}

/** `001F`, as the firmware and other programs write it. */
export function entryNumber(number: number): string {
  return number.toString(16).toUpperCase().padStart(4, '0');
}

export const BOOT_ORDER = `BootOrder-${GLOBAL_GUID}`;
export const BOOT_NEXT = `BootNext-${GLOBAL_GUID}`;
const BOOT_CURRENT = `BootCurrent-${GLOBAL_GUID}`;

/**
 * Reads the boot menu.
 *
 * @param efivars where efivarfs is mounted
 * @throws RdpullError file-unreadable
 */
export function readBootEntries(efivars: string): BootEntries {
  const taken = new Set(
    fs.readdirSync(efivars).flatMap((file) => {
      const [, digits = ''] = /^Boot([0-9A-F]{4})-(.*)$/.exec(file) ?? [];
      return digits !== '' && file.endsWith(GLOBAL_GUID) ? [Number.parseInt(digits, 16)] : [];
    }),
  );
  const read = (variable: string) => readEfiVariable(variable, efivars) ?? new Uint8Array();
  return {
    entries: [...taken]
      .sort((one, other) => one - other)
      .flatMap((number) => {
        const option = parseLoadOption(read(entryVariable(number)));
        return option === undefined ? [] : [{ ...option, number, url: devicePathUri(option.path) }];
      }),
    taken,
    order: decodeNumbers(read(BOOT_ORDER)),
    next: decodeNumbers(read(BOOT_NEXT))[0],
    current: decodeNumbers(read(BOOT_CURRENT))[0],
  };
}

/** An array of UINT16; half a number is left out. */
function decodeNumbers(payload: Uint8Array): readonly number[] {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return Array.from({ length: payload.length >> 1 }, (_, index) => view.getUint16(index * 2, true));
}

/** An array of UINT16. */
export function encodeNumbers(numbers: readonly number[]): Buffer {
  return Buffer.from(numbers.flatMap((number) => [number & 0xff, number >> 8]));
}
