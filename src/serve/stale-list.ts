import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import { reasonWithoutPath } from '../kernel/system-error.ts';
import { MANIFEST_MAX, parseManifest } from '../verify/manifest.ts';
import { isAboutList, LIST } from './checksum-list.ts';
import type { FileDigests } from './file-digests.ts';
import { disposable, type ServedDirectory, type ServedFile } from './served-directory.ts';

/**
 * What is wrong with the SHA256SUMS that somebody has put into the directory, in the light of what lies beside it: the
 * usual reason for an image that does not boot after it was built anew. Nothing, when there is none.
 */
export async function staleListWarnings(directory: ServedDirectory, digests: FileDigests): Promise<string[]> {
  using own = disposable(directory.open([LIST]));
  if (own.kind !== 'file' || own.state.size > MANIFEST_MAX) return [];
  let listed: ReadonlyMap<string, string>;
  try {
    const { entries } = parseManifest(fs.readFileSync(own.fd), LIST, new Date());
    listed = new Map(entries.map(({ name, digest }) => [name, digest]));
  } catch (error) {
    return [`${LIST} in the directory is served as it is, and cannot be used: ${reasonOf(error)}`];
  }
  const warnings: string[] = [];
  for (const { name, kind } of directory.list([]) ?? []) {
    if (kind !== 'file' || isAboutList(name)) continue;
    const digest = listed.get(name);
    const found = directory.open([name]);
    if (found.kind !== 'file') continue;
    if (digest === undefined) {
      found[Symbol.dispose]();
      if (/\.(?:efi|raw|tar)(?:\.\w+)?$/.test(name))
        warnings.push(`${printable(name)} is not in the ${LIST} beside it`);
    } else {
      warnings.push(...(await digestWarnings(name, digest, found, digests)));
    }
  }
  return warnings;
}

async function digestWarnings(
  name: string,
  listed: string,
  file: ServedFile,
  digests: FileDigests,
): Promise<string[]> {
  try {
    if (listed === (await digests.of(file))) return [];
    return [
      `${LIST} has another digest for ${printable(name)} than it has now: remove the file, and it is made for what is there`,
    ];
  } catch (error) {
    // One file must not keep the others from being looked at.
    return [`${printable(name)} is not compared with ${LIST}: ${reasonWithoutPath(error)}`];
  }
}
