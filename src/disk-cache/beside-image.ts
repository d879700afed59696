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

/** The files beside an image, by their names. */
export type BesideImage = ReadonlyMap<string, string | Uint8Array>;

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
 * What lies beside an image.
 *
 * @throws Error of node:fs
 */
export function readBeside(files: string): Map<string, Uint8Array> {
  const names = fs.readdirSync(files).filter((name) => fs.lstatSync(path.join(files, name)).isFile());
  return new Map(names.map((name) => [name, fs.readFileSync(path.join(files, name))]));
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

function writeSynced(file: string, content: string | Uint8Array): void {
  const fd = fs.openSync(file, 'wx', 0o644);
  try {
    fs.writeFileSync(fd, content);
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
