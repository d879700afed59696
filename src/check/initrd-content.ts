import path from 'node:path';
import { type InitrdEntry, mergedUsr, readInitrdEntries } from './initrd-entries.ts';
import { unpackTrust } from './initrd-trust.ts';

/** Links that lead to links, as the kernel follows them (path_resolution(7)). */
const LINKS_MAX = 40;

/** What an initrd holds of all that a pull needs. */
export interface InitrdContent {
  /** Bytes after decompression, as far as it was read. */
  readonly unpacked: number;
  readonly packed: readonly string[];
  /** The compression that kept it from being read whole. */
  readonly opaque: string | undefined;
  /** The path that `name` leads to, links followed; undefined when there is no such file. Paths without a first slash. */
  resolve(name: string): string | undefined;
  /** The paths of files whose name ends with `/NAME`, or are NAME. */
  named(name: string): readonly string[];
  /** Whether a module is there for this kernel, as a file or built in; undefined when nothing tells what is built in. */
  hasModule(module: string, release: string): boolean | undefined;
  /** The releases of the kernels for which it has modules. */
  readonly releases: readonly string[];
  /**
   * Writes what says whom the boot trusts below a directory that stands for `/`.
   *
   * @throws RdpullError uki-malformed, target-unwritable
   */
  unpackTrust(directory: string): void;
}

/** @throws RdpullError uki-malformed */
export async function readInitrdContent(
  body: Iterable<Uint8Array>,
  turn: () => Promise<void>,
): Promise<InitrdContent> {
  const { entries, releases, ...archives } = await readInitrdEntries(body, turn);
  const names = [...entries.keys()];
  const resolve = (name: string) => resolveIn(entries, name);

  function content(name: string): Uint8Array | undefined {
    const resolved = resolve(name);
    const entry = resolved === undefined ? undefined : entries.get(resolved);
    return entry?.kind === 'file' ? entry.inode.content : undefined;
  }

  return {
    ...archives,
    releases: [...releases],
    resolve,
    named: (name) => names.filter((each) => each === name || each.endsWith(`/${name}`)),
    hasModule(module, release) {
      const spelling = new RegExp(`/${module.replaceAll(/[_-]/g, '[_-]')}\\.ko(?:\\.[a-z0-9]+)?$`);
      const prefix = `usr/lib/modules/${release}/`;
      const isThere = names.some((each) => each.startsWith(prefix) && spelling.test(each));
      const builtIn = content(`${prefix}modules.builtin`);
      if (isThere || builtIn === undefined) return isThere || undefined;
      return new TextDecoder()
        .decode(builtIn)
        .split('\n')
        .some((line) => spelling.test(`/${line}`));
    },
    unpackTrust: (directory) => unpackTrust({ entries, resolve, content }, directory),
  };
}

function resolveIn(entries: ReadonlyMap<string, InitrdEntry>, name: string): string | undefined {
  let at = mergedUsr(name);
  for (let links = 0; links <= LINKS_MAX; links++) {
    const entry = entries.get(at);
    if (entry === undefined) return undefined;
    if (entry.kind === 'file') return at;
    const { target } = entry;
    at = mergedUsr(
      path.posix.join('/', target.startsWith('/') ? '' : path.posix.dirname(at), target).slice(1),
    );
  }
  return undefined;
}
