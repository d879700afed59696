import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../console/rdpull-error.ts';
import { removeTree } from '../kernel/remove-tree.ts';
import { RENAME_EXCHANGE, renameWithFlags } from '../kernel/rename.ts';
import { syncDirectory } from '../kernel/sync-directory.ts';
import { imageNameDefect } from '../request/image-name.ts';
import { lastComponent } from '../request/url.ts';
import { plainName } from '../verify/manifest.ts';
import { UNFINISHED, type VersionDirectory } from './version-directory.ts';

/** What is beside an image: the content of a file, or the file that is copied for it. */
export type Beside = string | Uint8Array | { readonly copyOf: string };

/** The files beside an image, by their names. */
export type BesideImage = ReadonlyMap<string, Beside>;

/**
 * Writes the directory beside an image, in one step: whoever reads it has the old one or the new one, also after the power was lost.
 *
 * @throws Error of node:fs
 */
export function writeBeside(directory: VersionDirectory, files: string, contents: BesideImage): void {
  const made = path.join(directory.path, `${UNFINISHED}files`);
  removeTree(made);
  fs.mkdirSync(made, { mode: 0o755 });
  for (const [name, content] of contents) writeSynced(path.join(made, name), content);
  syncDirectory(made);
  if (fs.existsSync(files)) {
    renameWithFlags(made, files, RENAME_EXCHANGE);
    removeTree(made);
  } else fs.renameSync(made, files);
  directory.sync();
}

/**
 * What lies beside an image, to be copied as it is: how large that may be, nobody has vouched for.
 *
 * @throws Error of node:fs
 */
export function besideNow(files: string): Map<string, Beside> {
  const paths = fs.readdirSync(files).map((name) => [name, path.join(files, name)] as const);
  const regular = paths.filter(([, file]) => fs.lstatSync(file).isFile());
  return new Map(regular.map(([name, copyOf]) => [name, { copyOf }]));
}

/**
 * Whether a file has this content.
 *
 * @throws Error of node:fs
 */
export function hasContent(file: string, content: string | Uint8Array): boolean {
  const wanted = Buffer.from(content);
  const stat = fs.lstatSync(file, { throwIfNoEntry: false });
  return stat?.isFile() === true && stat.size === wanted.length && fs.readFileSync(file).equals(wanted);
}

/**
 * The name of a file beside an image: a component of a URL, as a `file:` URL finds it on the disk.
 *
 * @throws RdpullError bad-image-name
 */
export function besideName(component: string): string {
  const name = plainName(component);
  requireFileName(name);
  return name;
}

/** @throws RdpullError bad-image-name */
export function requireFileName(name: string): void {
  const defect = imageNameDefect(name);
  if (defect === undefined) return;
  throw new RdpullError('bad-image-name', `the name of a file in the cache ${defect}`, 'choose another one');
}

function writeSynced(file: string, content: Beside): void {
  if (typeof content === 'object' && 'copyOf' in content)
    fs.copyFileSync(content.copyOf, file, fs.constants.COPYFILE_EXCL);
  else fs.writeFileSync(file, content, { flag: 'wx', mode: 0o644 });
  const fd = fs.openSync(file, 'r+');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * What vouches for an image, by the names that it has beside it.
 *
 * @param vouchers by URL
 * @throws RdpullError bad-image-name
 */
export function namedVouchers(vouchers: ReadonlyMap<string, Uint8Array>): [string, Uint8Array][] {
  return [...vouchers].map(([url, content]) => [besideName(lastComponent(url) ?? ''), content]);
}
