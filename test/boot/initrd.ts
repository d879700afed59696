import fs from 'node:fs';
import path from 'node:path';
import type { Suite } from '../fixtures/suite-tree.ts';
import { packInitrd } from './cpio.ts';
import { CHECKOUT, cached, contentHash, SCRATCH } from './scratch.ts';
import { inToolbox, kernel } from './toolbox.ts';

/** Whose import mechanism is in an initrd: rdpull's by its dracut module, or systemd's own. */
export type Agent = 'rdpull' | 'systemd';

/** What an initrd is made of, so that a stale one is never used. */
const SOURCES = ['dist/rdpull', 'dracut-module', 'scripts/install', 'units'];

/** Packed fast and not small: dracut's zstd -15 takes longer than the boot of a machine. */
const DRACUT = 'dracut --force --quiet --no-hostonly --compress "zstd -q -3" --kver "$1"';

const SCRIPTS: Record<Agent, string> = {
  rdpull: `
cd /checkout
scripts/install DESTDIR= >&2
${DRACUT} --add rdpull "/shared/$2"`,
  systemd: `
${DRACUT} --add systemd-import --install "gpgv zstd xz" "/shared/$2"`,
};

const initrds = new Map<string, Promise<string>>();

/** The initrd that dracut makes in the tree of a suite. */
export function initrd(suite: Suite, agent: Agent = 'rdpull'): Promise<string> {
  const name = `initrd-${suite}-${agent}`;
  const made = initrds.get(name) ?? makeInitrd(name, suite, agent);
  initrds.set(name, made);
  return made;
}

async function makeInitrd(name: string, suite: Suite, agent: Agent): Promise<string> {
  const { release } = await kernel(suite);
  const sources = agent === 'rdpull' ? SOURCES.map((source) => path.join(CHECKOUT, source)) : [];
  const key = contentHash([suite, release, SCRIPTS[agent]], sources);
  return await cached(name, key, async (file) => {
    await inToolbox(suite, path.dirname(file), SCRIPTS[agent], [release, path.basename(file)]);
  });
}

/** A file for an initrd: its content, its permissions when they are not 644, and its date when it is not now. */
export type InitrdFile = {
  readonly content: string | Uint8Array;
  readonly mode?: number;
  readonly modified?: Date;
};

/**
 * A copy of an initrd with more files in it: the kernel unpacks archives that follow each other one after the other.
 *
 * @param files by their paths, without the first slash
 */
export async function withFiles(
  initrdFile: string,
  files: Readonly<Record<string, InitrdFile>>,
  target: string,
): Promise<void> {
  const tree = fs.mkdtempSync(path.join(SCRATCH, 'initrd-'));
  const extra = `${tree}.cpio`;
  // The archive says so of every directory above its files, too, and of `/`.
  fs.chmodSync(tree, 0o755);
  try {
    for (const [name, { content, mode = 0o644, modified }] of Object.entries(files)) {
      const file = path.join(tree, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, content);
      fs.chmodSync(file, mode);
      if (modified !== undefined) fs.utimesSync(file, modified, modified);
    }
    fs.copyFileSync(initrdFile, target);
    // Archives start at multiples of four bytes.
    const { size } = fs.statSync(target);
    fs.truncateSync(target, Math.ceil(size / 4) * 4);
    await packInitrd(tree, extra);
    fs.appendFileSync(target, fs.readFileSync(extra));
  } finally {
    fs.rmSync(tree, { recursive: true });
    fs.rmSync(extra, { force: true });
  }
}
