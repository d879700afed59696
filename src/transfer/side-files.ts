import fs from 'node:fs';
import { quoted } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { stripImageSuffixes } from '../request/image-name.ts';
import { lastComponent, replaceComponents } from '../request/url.ts';
import { type Absence, fetchSmallFile } from '../source/open-source.ts';
import { isOthersFailure } from '../source/passing.ts';
import type { SourceOptions } from '../source/source.ts';
import { checksumMismatch } from '../verify/checksum-mismatch.ts';
import { isWebPage } from '../verify/web-page.ts';
import type { Demand } from './promise.ts';
import { storageError } from './sink/storage-error.ts';
import { Staging } from './staging.ts';

/** The longest root hash or signature that is read, in bytes, as systemd-pull's. */
const SMALL_MAX = 1024 * 1024;
/** The longest file of dm-verity hashes, in bytes: those of an image of 8 GiB. */
const VERITY_MAX = 64 * 1024 * 1024;

const WORDS = { kind: 'a side file of an image' };

const ROOT_HASH = '.roothash';
/** In hexadecimal digits, of a digest of 128 to 512 bits. */
const ROOT_HASH_TEXT = /^[0-9a-f]{32,128}\s*$/;

/** What to fetch beside an image, and where to put it. */
export interface SideFileRequest {
  /** The image itself, and the login for its server. */
  readonly url: string;
  readonly suffixes: readonly string[];
  /** The image's final name, which ends in `.raw`. */
  readonly target: string;
  readonly force: boolean;
  readonly demand: Demand;
  readonly warn: (text: string) => void;
}

/** Files that are complete and checked, but not visible yet. Disposing of them removes what was not published. */
export interface SideFiles extends Disposable {
  /**
   * Gives them their final names, before the image gets its own: nobody may see the image without them. Those of the image
   * that it replaces go, where it has none itself.
   */
  publish(): void;
  /** Takes those names away again: the image could not be published. */
  retract(): void;
}

/**
 * Fetches the files that belong beside an image. Where the image was verified, a side file counts only when the same
 * checksum file lists it, and then it must be there and match; without verification, what is missing is passed over.
 *
 * @throws RdpullError of the verify, network, http or storage family
 */
export async function fetchSideFiles(request: SideFileRequest, options: SourceOptions): Promise<SideFiles> {
  const { url, suffixes, target, force } = request;
  const stem = stripImageSuffixes(lastComponent(url) ?? '', 'raw');
  const targetStem = target.replace(/\.raw$/, '');
  const made: { readonly staging: Staging; readonly final: string }[] = [];
  const published: string[] = [];
  const obsolete: string[] = [];
  const dispose = () => {
    for (const { staging } of made) staging[Symbol.dispose]();
  };
  try {
    let hasRootHash = true;
    for (const suffix of suffixes) {
      const content = hasRootHash ? await fetchOne(request, `${stem}${suffix}`, suffix, options) : undefined;
      const final = `${targetStem}${suffix}`;
      // What belonged to the image that is replaced would be wrong for the new one.
      if (content === undefined && force) obsolete.push(final);
      // Without the root hash, the rest says nothing.
      if (content === undefined) hasRootHash &&= suffix !== ROOT_HASH;
      if (content === undefined) continue;
      const staging = await Staging.open(final, { replace: force, tell: request.warn });
      made.push({ staging, final });
      write(staging.path, content);
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return {
    publish() {
      for (const { staging, final } of made) {
        staging.publish();
        published.push(final);
      }
      for (const file of obsolete) fs.rmSync(file, { force: true });
    },
    retract() {
      for (const file of published) fs.rmSync(file, { force: true });
    },
    [Symbol.dispose]: dispose,
  };
}

/** The side files that are there beside a complete image: the suffix of each, and its path. */
export function sideFilesBeside({
  target,
  sideFiles,
}: Pick<SideFileRequest, 'target'> & {
  readonly sideFiles: (path: string) => readonly string[];
}): ReadonlyMap<string, string> {
  const stem = target.replace(/\.raw$/, '');
  const found = sideFiles(target).map((suffix): [string, string] => [suffix, `${stem}${suffix}`]);
  return new Map(found.filter(([, file]) => fs.existsSync(file)));
}

/** Many servers answer anything for a name that they do not know: what cannot be right is passed over. */
async function fetchUnverified(
  url: string,
  limit: number,
  { warn }: SideFileRequest,
  options: SourceOptions,
): Promise<Uint8Array | undefined> {
  const { patience: _, ...once } = options;
  try {
    const content = await fetchSmallFile(url, limit, once, WORDS);
    if (content === undefined || content.length === 0 || isWebPage(content)) return undefined;
    if (!url.endsWith(ROOT_HASH) || ROOT_HASH_TEXT.test(Buffer.from(content).toString('latin1')))
      return content;
    warn(`${shownUrl(url)} is passed over: it holds no root hash`);
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isOthersFailure(error)) throw error;
    warn(`side file passed over: ${reasonOf(error)}`);
  }
  return undefined;
}

async function fetchOne(
  request: SideFileRequest,
  name: string,
  suffix: string,
  options: SourceOptions,
): Promise<Uint8Array | undefined> {
  const sideUrl = replaceComponents(request.url, 1, name);
  const { promised, digestOf } = request.demand;
  const expected = digestOf(name);
  if (promised !== undefined && expected === undefined) return undefined;

  const limit = suffix === '.verity' ? VERITY_MAX : SMALL_MAX;
  if (promised === undefined || expected === undefined) {
    return fetchUnverified(sideUrl, limit, request, options);
  }
  let absence: Absence = 'not found';
  const absent = (why: Absence) => {
    absence = why;
  };
  const content = await fetchSmallFile(
    sideUrl,
    limit,
    { ...options, isPromised: true },
    { ...WORDS, absent },
  );
  const manifestUrl = promised.manifestUrl;
  if (content === undefined) {
    throw new RdpullError(
      'manifest-missing',
      `${shownUrl(sideUrl)} is ${absence === 'not found' ? 'not there' : absence}, though ${manifestUrl} lists ${quoted(name)}`,
      'publish the side files together with the image, or take their lines out of the checksum file',
    );
  }
  const actual = new Bun.CryptoHasher('sha256').update(content).digest('hex');
  if (actual === expected) return content;
  throw checksumMismatch({ url: shownUrl(sideUrl), bytes: content.length, actual, expected, manifestUrl });
}

function write(file: string, content: Uint8Array): void {
  try {
    fs.writeFileSync(file, content, { flag: 'wx', mode: 0o644 });
  } catch (error) {
    throw storageError(file, content.length, error);
  }
}
