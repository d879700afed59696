import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { malformedUki } from '../uki/malformed-uki.ts';
import { type InitrdEntry, KEPT_MAX, saysWhomToTrust } from './initrd-entries.ts';
import { scratchUnwritable } from './scratch-directory.ts';

/** Files that are unpacked at most; each link is one, and its bytes count like those of a file. */
const FILES_MAX = 1024;

/** An initrd, as far as it is kept. */
interface InitrdFiles {
  readonly entries: ReadonlyMap<string, InitrdEntry>;
  /** The path that a name leads to. */
  resolve(name: string): string | undefined;
  /** Of the file that a name leads to. */
  content(name: string): Uint8Array | undefined;
}

/**
 * Writes what says whom the boot trusts below a directory that stands for `/`. A link becomes a copy of what it leads to,
 * so that none leads out of there.
 *
 * @throws RdpullError uki-malformed, target-unwritable
 */
export function unpackTrust({ entries, resolve, content }: InitrdFiles, directory: string): void {
  const copies = [...entries]
    .filter(([name]) => saysWhomToTrust(name))
    .map(([name, entry]) => ({
      file: path.join(directory, name),
      content: isMask(entry)
        ? ('mask' as const)
        : isFaithful(name, entry, resolve)
          ? content(name)
          : undefined,
    }));
  const bytes = copies.reduce((sum, { content: copy }) => sum + (copy?.length ?? 0), 0);
  if (copies.length > FILES_MAX || bytes > KEPT_MAX) {
    throw malformedUki(
      `its initrd has ${copies.length} keys and certificates of ${bytes} bytes, links to them included, and ${FILES_MAX} of ${KEPT_MAX} bytes are read`,
    );
  }
  for (const { file, content: copy } of copies) unpack(file, copy);
}

function unpack(file: string, content: Uint8Array | 'mask' | undefined): void {
  if (content === undefined) return;
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (content === 'mask') fs.symlinkSync('/dev/null', file);
    else fs.writeFileSync(file, content, { flag: 'wx' });
  } catch (error) {
    if (isSystemError(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EIO')) throw scratchUnwritable(error);
    throw malformedUki(`the keys in its initrd cannot be unpacked: ${printable(reasonOf(error))}`);
  }
}

function isMask(entry: InitrdEntry): boolean {
  return entry.kind === 'link' && path.posix.normalize(entry.target) === '/dev/null';
}

/** In the directories of VOA a link counts only when it has the name of what it leads to (UAPI.11, "Symlinking"). */
function isFaithful(name: string, entry: InitrdEntry, resolve: InitrdFiles['resolve']): boolean {
  if (entry.kind === 'file' || !name.includes('/voa/')) return true;
  return path.posix.basename(resolve(name) ?? '') === path.posix.basename(name);
}
