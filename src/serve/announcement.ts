import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import { shownUrl } from '../console/shown-url.ts';
import { imageUrls } from '../origin/image-url.ts';
import { FILE_TYPES, type ImageType } from '../request/image-class.ts';
import { pullParameters } from '../request/kernel-command-line.ts';
import { parsePullExpression } from '../request/pull-expression.ts';
import { lastComponent } from '../request/url.ts';
import { openUki } from '../uki/uki.ts';
import type { ListSigner } from './list-signer.ts';
import { isReachedByGuests, QEMU_HOST, reachableHosts } from './listening-addresses.ts';
import { urlPath } from './request-path.ts';
import type { Entry, ServedDirectory } from './served-directory.ts';

/** An image that a UKI asks for, and what there is of it. */
export interface AnnouncedImage {
  /** Where it is looked for, best first; with its placeholders. */
  readonly urls: readonly string[];
  /** The URL of those that is pulled now; undefined when none of them is here. */
  readonly pulled: string | undefined;
  /** Bytes of that. */
  readonly size: number | undefined;
}

export interface AnnouncedUki {
  readonly url: string;
  /** Bytes. */
  readonly size: number;
  /** What its command line asks for; undefined when it says nothing of pulls, or cannot be read. */
  readonly expressions: readonly string[] | undefined;
  readonly images: readonly AnnouncedImage[];
}

/** What is told at the start. */
export interface Announcement {
  /** Of the directory: one for each address of this machine. */
  readonly urls: readonly string[];
  readonly ukis: readonly AnnouncedUki[];
  /** What a UKI, or an image, will not do as it is. */
  readonly warnings: readonly string[];
}

/** An image by its name; what is beside it, such as checksums, is none. */
const IMAGE = /\.(?:(?:raw|tar)(?:\.(?:xz|zst|gz|bz2))?|caibx)$/i;

/**
 * Looks at what is served, and at where machines find it.
 *
 * @param exported images that are exported over NVMe as well: machines ask for them without a UKI
 */
export function announce(
  directory: ServedDirectory,
  address: string,
  port: number,
  exported: readonly string[] = [],
): Announcement {
  const urls = reachableHosts(address).map((host) => `http://${host}:${port}/`);
  const [base = ''] = urls;
  const entries = (directory.list([]) ?? []).filter(({ kind }) => kind === 'file');
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  const warnings: string[] = [];
  const derived = new Set<string>();
  const ukis = entries
    .filter(({ name }) => /\.efi$/i.test(name))
    .map((entry): AnnouncedUki => {
      const url = base + urlPath([entry.name]);
      const expressions = expressionsOf(path.join(directory.directory, entry.name), entry.name, warnings);
      const images = imageSets(expressions, url, entry.name, warnings).map((set) => {
        for (const each of set) derived.add(nameOf(each));
        return announcedImage(set, byName);
      });
      // Of a UKI that asks for nothing, only what there is counts.
      const shown = expressions === undefined ? images.filter(({ pulled }) => pulled !== undefined) : images;
      warnings.push(...shown.flatMap((image) => imageWarnings(image, byName, entry.name)));
      return { url, size: entry.state.size, expressions, images: shown };
    });
  for (const { name } of entries) {
    if (ukis.length === 0 || !IMAGE.test(name) || derived.has(name) || exported.includes(name)) continue;
    warnings.push(`${printable(name)} is an image that no UKI here asks for`);
  }
  return { urls, ukis, warnings };
}

/** The pulls in a UKI's own command line. */
function expressionsOf(file: string, name: string, warnings: string[]): readonly string[] | undefined {
  try {
    using uki = openUki(file);
    const { expressions } = pullParameters(uki.text('.cmdline') ?? '', true, () => undefined);
    if (expressions.length > 0) return expressions;
    warnings.push(
      `${printable(name)} pulls nothing by itself: there is no rd.systemd.pull= in its command line`,
    );
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    warnings.push(`${printable(name)} is not read: ${error.message}`);
  }
  return undefined;
}

/** For each image that is pulled from beside the UKI: where it is looked for. Without a word of it, any kind may be. */
function imageSets(
  expressions: readonly string[] | undefined,
  bootUrl: string,
  name: string,
  warnings: string[],
): readonly (readonly string[])[] {
  const candidates = (image: string | undefined, types: readonly ImageType[]) =>
    types.flatMap((type) => imageUrls(image, type, bootUrl));
  if (expressions === undefined) return [candidates(undefined, FILE_TYPES)];
  return expressions.flatMap((expression) => {
    try {
      const { remote, type } = parsePullExpression(expression, () => undefined);
      return remote.kind === 'bootorigin' ? [candidates(remote.name, [type])] : [];
    } catch (error) {
      warnings.push(`${printable(name)}: ${reasonOf(error)}`);
      return [];
    }
  });
}

function announcedImage(urls: readonly string[], byName: ReadonlyMap<string, Entry>): AnnouncedImage {
  const pulled = urls.find((url) => byName.has(nameOf(url)));
  const entry = pulled === undefined ? undefined : byName.get(nameOf(pulled));
  return { urls, pulled, size: entry?.state.size };
}

function imageWarnings(
  { urls, pulled }: AnnouncedImage,
  byName: ReadonlyMap<string, Entry>,
  uki: string,
): string[] {
  if (pulled === undefined) {
    // What it stands for, only the machine knows.
    if (urls.some((url) => /\{[a-z-]+\}/.test(url))) return [];
    const names = urls.map((url) => printable(nameOf(url))).join(', ');
    return [
      `${printable(uki)} finds no image: ${urls.length === 1 ? `${names} is not` : `none of ${names} is`} here`,
    ];
  }
  const first = byName.get(nameOf(pulled));
  return urls.flatMap((url) => {
    const entry = byName.get(nameOf(url));
    if (entry === undefined || first === undefined || entry.state.modified <= first.state.modified) return [];
    return [
      `${printable(entry.name)} is newer than ${printable(first.name)}, which is pulled all the same: it is looked for first`,
    ];
  });
}

/** The name of a file directly in the directory, as its URL has it. */
function nameOf(url: string): string {
  const last = lastComponent(url) ?? '';
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}

/** The name of a UKI, for a person. */
export const ukiName = ({ url }: AnnouncedUki): string => printable(nameOf(url));

/** Something that is worth knowing of a UKI. */
export interface UkiFact {
  readonly label: 'firmware' | 'QEMU' | 'asks for' | 'pulls';
  readonly text: string;
  /** Whether it is to be pasted. */
  readonly isCommand: boolean;
}

/** How to boot a UKI, and what it will pull. */
export function ukiFacts(
  { url, expressions, images }: AnnouncedUki,
  served: { readonly address: string; readonly port: number },
): UkiFact[] {
  const facts: UkiFact[] = [
    { label: 'firmware', text: `rdpull boot-entry add --first ${shellWord(url)}`, isCommand: true },
  ];
  if (isReachedByGuests(served.address)) {
    const guest = `http://${QEMU_HOST}:${served.port}/${urlPath([nameOf(url)])}`;
    const text = `-netdev ${shellWord(`user,id=n0,bootfile=${guest}`)} -device virtio-net-pci,netdev=n0,bootindex=0`;
    facts.push({ label: 'QEMU', text, isCommand: true });
  }
  for (const expression of expressions ?? []) {
    facts.push({ label: 'asks for', text: shownUrl(expression), isCommand: false });
  }
  for (const { urls: places, pulled, size: length } of images) {
    const text =
      pulled === undefined
        ? `${places.map(shownUrl).join(', or ')}: not here`
        : `${shownUrl(pulled)} (${size(length ?? 0)})`;
    facts.push({ label: 'pulls', text, isCommand: false });
  }
  return facts;
}

/** Who vouches for what is served. */
export function signerText(signer: ListSigner | undefined): string {
  return signer === undefined
    ? 'SHA256SUMS is made for what is there, unless there is one; nobody signs it: --sign=FILE'
    : `SHA256SUMS is made for what is there, unless there is one, and signed by ${printable(signer.name)} (${signer.fingerprint})`;
}

/** The announcement for a person. */
export function announcementLines(
  { urls, ukis }: Announcement,
  served: { readonly directory: string; readonly address: string; readonly port: number },
  signer: ListSigner | undefined,
): string[] {
  const lines = [
    `serving ${printable(fs.realpathSync(served.directory))} at`,
    ...urls.map((url) => `  ${url}`),
    signerText(signer),
  ];
  if (ukis.length === 0) lines.push('there is no UKI (*.efi) here');
  for (const uki of ukis) {
    lines.push('', `${ukiName(uki)} (${size(uki.size)})`);
    for (const { label, text } of ukiFacts(uki, served)) lines.push(`  ${label.padEnd(10)}${text}`);
  }
  return lines;
}
