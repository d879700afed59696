import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { size } from '../console/quantity.ts';
import { announce, signerText, type UkiFact, ukiFacts, ukiName } from './announcement.ts';
import { stateKey } from './file-state.ts';
import type { ListSigner } from './list-signer.ts';
import { announcedExports, type ExportFact, exportFacts, type NvmeExport } from './nvme/nvme-announcement.ts';
import { urlPath } from './request-path.ts';
import type { ServedDirectory } from './served-directory.ts';

/** Files that the page lists; of the others there is the number. */
const FILES_MAX = 200;

/** What is worth knowing of a file. */
interface FileFacts {
  readonly name: string;
  readonly size: string;
  readonly facts: readonly (UkiFact | ExportFact)[];
}

/** What lies in the directory, for the page. */
export interface SiteView {
  readonly directory: string;
  readonly urls: readonly string[];
  /** Who signs the checksums. */
  readonly signed: string;
  /** And what is exported. */
  readonly ukis: readonly FileFacts[];
  readonly files: readonly {
    readonly name: string;
    readonly href: string;
    readonly size: string;
    /** In ms since 1970; null for a directory. */
    readonly modified: number | null;
  }[];
  /** Files that are not listed. */
  readonly more: number;
}

/** Where a server is reached. */
export interface Served {
  readonly address: string;
  readonly port: number;
}

/**
 * What is served now. Reads the UKIs in the directory.
 *
 * @param exported over NVMe
 */
export function siteView(
  directory: ServedDirectory,
  served: Served,
  signer: ListSigner | undefined,
  exported: readonly NvmeExport[],
): SiteView {
  const { urls, ukis } = announce(directory, served.address, served.port);
  const entries = directory.list([]) ?? [];
  return {
    directory: printable(fs.realpathSync(directory.directory)),
    urls,
    signed: signerText(signer),
    ukis: [
      ...ukis.map((uki) => ({ name: ukiName(uki), size: size(uki.size), facts: ukiFacts(uki, served) })),
      ...announcedExports(exported, served.address).map((each) => ({
        name: `${each.path} over NVMe`,
        size: size(each.size),
        facts: exportFacts(each),
      })),
    ],
    files: entries.slice(0, FILES_MAX).map(({ name, kind, state }) => {
      const isFile = kind === 'file';
      return {
        name: printable(name) + (isFile ? '' : '/'),
        href: `/${urlPath([name])}${isFile ? '' : '/'}`,
        size: isFile ? size(state.size) : '',
        modified: isFile ? Number(state.modified / 1_000_000n) : null,
      };
    }),
    more: Math.max(0, entries.length - FILES_MAX),
  };
}

/** A text that is the same as long as nothing has changed in the directory, and in what is exported. */
export function siteKey(directory: ServedDirectory, exported: readonly NvmeExport[]): string {
  const entries = directory.list([]) ?? [];
  return [
    ...entries.map(({ name, state }) => `${name}/${stateKey(state)}`),
    ...exported.map(({ nqn, size: length }) => `${nqn}/${length}`),
  ].join('\n');
}
