import { RdpullError } from '../console/rdpull-error.ts';
import { encodeLoadOption, LOAD_OPTION_ACTIVE } from '../origin/load-option.ts';
import {
  BOOT_NEXT,
  BOOT_ORDER,
  type BootEntries,
  type BootEntry,
  encodeNumbers,
  entryVariable,
} from './boot-entries.ts';
import { removeEfiVariable, writeEfiVariable } from './write-efi-variable.ts';

/** Entries have four digits. */
const NUMBERS = 0x10000;

/** When the firmware is to boot an entry: at the next start alone, before all others, or after them. */
export type Turn = 'once' | 'first' | 'last';

/** What becomes an entry. */
export interface NewEntry {
  readonly title: string;
  readonly path: Uint8Array;
  readonly turn: Turn;
}

/**
 * Puts an entry into the boot menu. One of the same title and path that is there already is used again, so that a menu does not
 * grow with each image that is tried.
 *
 * @param efivars where efivarfs is mounted
 * @returns its number
 * @throws RdpullError as writeEfiVariable, and disk-full when all numbers are taken
 */
export function addBootEntry(
  { title, path, turn }: NewEntry,
  { entries, taken, order }: BootEntries,
  efivars: string,
): number {
  const content = encodeLoadOption({ attributes: LOAD_OPTION_ACTIVE, title, path });
  const same = entries.find((entry) => content.equals(encodeLoadOption(entry)));
  const number = same?.number ?? freeNumber(taken);
  // The entry before what points to it.
  if (same === undefined) writeEfiVariable(entryVariable(number), content, efivars);
  if (turn === 'once') writeEfiVariable(BOOT_NEXT, encodeNumbers([number]), efivars);
  else writeOrder(turn === 'first' ? atTheFront(number, order) : atTheEnd(number, order), order, efivars);
  return number;
}

/**
 * Takes an entry out of the boot menu.
 *
 * @throws RdpullError as writeEfiVariable
 */
export function removeBootEntry({ number }: BootEntry, { order, next }: BootEntries, efivars: string): void {
  // What points to the entry before it.
  if (next === number) removeEfiVariable(BOOT_NEXT, efivars);
  writeOrder(
    order.filter((each) => each !== number),
    order,
    efivars,
  );
  removeEfiVariable(entryVariable(number), efivars);
}

const atTheFront = (number: number, order: readonly number[]) => [
  number,
  ...order.filter((each) => each !== number),
];

const atTheEnd = (number: number, order: readonly number[]) =>
  order.includes(number) ? order : [...order, number];

/** Firmware writes to flash memory, and a variable without a value is none. */
function writeOrder(order: readonly number[], before: readonly number[], efivars: string): void {
  const content = encodeNumbers(order);
  if (content.length === 0) removeEfiVariable(BOOT_ORDER, efivars);
  else if (!encodeNumbers(before).equals(content)) writeEfiVariable(BOOT_ORDER, content, efivars);
}

function freeNumber(taken: ReadonlySet<number>): number {
  for (let number = 0; number < NUMBERS; number++) if (!taken.has(number)) return number;
  throw new RdpullError(
    'disk-full',
    `the firmware has ${NUMBERS} boot entries, and no number for another one`,
    'remove entries that nobody needs (rdpull boot-entry list)',
  );
}
