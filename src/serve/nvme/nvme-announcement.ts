import { printable } from '../../console/printable.ts';
import { size } from '../../console/quantity.ts';
import { reachableHosts } from '../listening-addresses.ts';
import type { ExportMode, LeftImage } from './raw-images.ts';

/** The port of NVMe over TCP, which IANA has registered for it (nvme, 4420). */
export const NVME_PORT = 4420;

/** An image that hosts reach. */
export interface NvmeExport {
  /** From the directory that is served. */
  readonly path: string;
  readonly nqn: string;
  /** In bytes. */
  readonly size: number;
}

/** What is exported, and where. */
export interface ExportsView {
  readonly mode: ExportMode;
  readonly exports: readonly NvmeExport[];
  readonly left: readonly LeftImage[];
}

/** How a machine has the image as its root. */
export interface AnnouncedExport extends NvmeExport {
  /** One for each address of this machine. */
  readonly urls: readonly string[];
  /** For the kernel command line of a machine. */
  readonly parameter: string;
}

/** @param address that is listened on */
export function announcedExports(exports: readonly NvmeExport[], address: string): AnnouncedExport[] {
  return exports.map((each) => {
    const urls = reachableHosts(address).map((host) => `nvme+tcp://${host}:${NVME_PORT}/${each.nqn}`);
    return { ...each, urls, parameter: `rd.systemd.pull=raw,machine,verify=no:root:${urls[0] ?? ''}` };
  });
}

/** Something that is worth knowing of an export. */
export interface ExportFact {
  readonly label: 'URL' | 'boots it';
  readonly text: string;
  /** Whether it is to be pasted. */
  readonly isCommand: boolean;
}

/** Where an export is, and what makes it a root. */
export function exportFacts({ urls, parameter }: AnnouncedExport): ExportFact[] {
  return [
    ...urls.map((text) => ({ label: 'URL', text, isCommand: false }) as const),
    { label: 'boots it', text: parameter, isCommand: true },
  ];
}

const MODES: Readonly<Record<ExportMode, string>> = {
  ro: 'read-only, for any number of machines',
  rw: 'writable, for one machine at a time; what it writes stays in the image',
};

/** For a tool. */
export function exportsJson({ mode, exports, left }: ExportsView, address: string) {
  const images = announcedExports(exports, address).map(({ path, nqn, urls, parameter }) => {
    return { path, nqn, urls, parameter };
  });
  return { mode, images, left };
}

/** For a person. */
export function exportLines({ mode, exports, left }: ExportsView, address: string): string[] {
  const lines = ['', `over NVMe/TCP at port ${NVME_PORT}, ${MODES[mode]}`];
  if (exports.length === 0) lines.push('  there is no raw image (*.raw) here');
  for (const each of announcedExports(exports, address)) {
    lines.push(`  ${printable(each.path)} (${size(each.size)})`);
    for (const { label, text } of exportFacts(each)) lines.push(`    ${label.padEnd(10)}${text}`);
  }
  for (const { path, why } of left) lines.push(`  not ${printable(path)}: ${printable(why)}`);
  return lines;
}
