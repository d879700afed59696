import fs from 'node:fs';
import {
  type BootEntries,
  type BootEntry,
  entryNumber,
  readBootEntries,
} from '../boot-entry/boot-entries.ts';
import { routeThrough, routeTo } from '../boot-entry/boot-route.ts';
import { addBootEntry, removeBootEntry, type Turn } from '../boot-entry/change-entries.ts';
import { httpBootPath, shortFormPath } from '../boot-entry/http-boot-path.ts';
import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { Reporter } from '../console/reporter.ts';
import { quotedUrl, shownUrl } from '../console/shown-url.ts';
import { EFIVARFS } from '../origin/efi-variable.ts';
import { mountEfivarfs } from '../origin/efivarfs.ts';
import { LOAD_OPTION_ACTIVE } from '../origin/load-option.ts';
import type { BootEntriesJson, BootEntryJson } from './json-results.ts';

/** What `add` was asked for. */
interface Addition {
  readonly action: 'add';
  readonly url: string;
  readonly title: string;
  readonly turn: Turn;
  /** Of the network device; `any` lets the firmware choose. */
  readonly interface: string | undefined;
}

/** What `rdpull boot-entry` was asked for. */
export type MenuAction =
  | Addition
  | { readonly action: 'list' }
  | { readonly action: 'remove'; readonly what: string };

/**
 * Shows or changes the boot menu of the firmware.
 *
 * @throws RdpullError file-not-found without UEFI, bad-argument for an entry that is none, and what writing throws
 */
export async function changeBootMenu(wanted: MenuAction, reporter: Reporter): Promise<void> {
  const menu = await readMenu(reporter);
  switch (wanted.action) {
    case 'list':
      list(menu, reporter);
      return;
    case 'add':
      await add(wanted, menu, reporter);
      return;
    case 'remove':
      remove(wanted.what, menu, reporter);
  }
}

/** @throws RdpullError file-not-found when this machine has none */
async function readMenu({ detail }: Reporter): Promise<BootEntries> {
  await mountEfivarfs(detail);
  if (fs.existsSync(EFIVARFS) && fs.readdirSync(EFIVARFS).length > 0) return readBootEntries(EFIVARFS);
  throw new RdpullError(
    'file-not-found',
    `this machine has no boot menu that can be changed: there are no EFI variables in ${EFIVARFS}`,
    'boot it with UEFI, and not in BIOS (CSM) mode; in a container, look from outside',
  );
}

async function add(wanted: Addition, menu: BootEntries, reporter: Reporter): Promise<void> {
  const { url, title, turn } = wanted;
  const path = await pathTo(wanted, menu, reporter);
  const number = addBootEntry({ title, path, turn }, menu, EFIVARFS);
  const after = readBootEntries(EFIVARFS);
  const entry = after.entries.find((each) => each.number === number);
  const when = {
    once: 'at the next start alone',
    first: 'first, from the next start on',
    last: 'when nothing before it can be booted, or when it is chosen from the menu',
  }[turn];
  reporter.info(`Boot${entryNumber(number)} boots ${shownUrl(url)} ${when}`);
  reporter.result([], entry === undefined ? {} : entryJson(entry, after));
}

/** The device path, and word of which network device it leads through. */
async function pathTo(
  { url, interface: name }: Addition,
  { entries }: BootEntries,
  reporter: Reporter,
): Promise<Uint8Array> {
  if (name === 'any') return shortFormPath(url);
  const route = name === undefined ? await routeTo(url) : routeThrough(name, url);
  const path = typeof route === 'string' ? undefined : httpBootPath(url, route, entries);
  if (path !== undefined) {
    if (typeof route !== 'string') reporter.detail(`through ${route.name} (${route.mac})`);
    return path;
  }
  const why =
    typeof route === 'string'
      ? route
      : `the firmware has no entry for ${route.name} (${route.mac}), by which its way to it could be known`;
  if (name !== undefined) {
    throw new RdpullError(
      'file-not-found',
      `--interface=${printable(name)}: ${why}`,
      'switch network boot on in the setup of the firmware, or let it choose with --interface=any',
    );
  }
  reporter.info(`the firmware will choose the network device: ${why}`);
  return shortFormPath(url);
}

function remove(what: string, menu: BootEntries, reporter: Reporter): void {
  const entry = wantedEntry(what, menu);
  removeBootEntry(entry, menu, EFIVARFS);
  reporter.info(`Boot${entryNumber(entry.number)} (${printable(entry.title)}) is removed`);
  reporter.result([], entryJson(entry, menu));
}

function wantedEntry(what: string, { entries }: BootEntries): BootEntry {
  const [, digits] = /^(?:Boot)?([0-9a-f]{4})$/i.exec(what) ?? [];
  const entry = entries.find(({ number, url }) =>
    digits === undefined ? url === what : number === Number.parseInt(digits, 16),
  );
  if (entry === undefined) {
    throw new RdpullError(
      'bad-argument',
      `there is no boot entry ${digits === undefined ? `for ${quotedUrl(what)}` : what}`,
      'rdpull boot-entry list shows them, with their four digits',
    );
  }
  if (entry.url !== undefined) return entry;
  throw new RdpullError(
    'bad-argument',
    `Boot${entryNumber(entry.number)} (${printable(entry.title)}) does not boot over HTTP: it is not removed`,
    'efibootmgr --delete-bootnum removes any entry',
  );
}

function list(menu: BootEntries, reporter: Reporter): void {
  const shown = menu.entries.map((entry) => entryJson(entry, menu));
  const place = (entry: BootEntryJson) => entry.place ?? menu.order.length + 1;
  const sorted = shown.toSorted((one, other) => place(one) - place(other));
  reporter.result(sorted.map(entryLine), { entries: sorted } satisfies BootEntriesJson);
}

function entryLine({ number, title, url, active, place, next, current }: BootEntryJson): string {
  const notes = [
    ...(next ? ['next'] : []),
    ...(current ? ['current'] : []),
    ...(active ? [] : ['inactive']),
    ...(place === null ? ['not in the order'] : []),
  ];
  const what = url === null ? '' : `  ${shownUrl(url)}`;
  return `Boot${number}  ${printable(title)}${what}${notes.length === 0 ? '' : `  (${notes.join(', ')})`}`;
}

function entryJson(
  { number, title, url, attributes }: BootEntry,
  { order, next, current }: BootEntries,
): BootEntryJson {
  const place = order.indexOf(number);
  return {
    number: entryNumber(number),
    title,
    url: url === undefined ? null : shownUrl(url),
    active: (attributes & LOAD_OPTION_ACTIVE) !== 0,
    place: place < 0 ? null : place + 1,
    next: next === number,
    current: current === number,
  };
}
