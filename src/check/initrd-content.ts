import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import type { CpioMember, CpioVisitor } from '../uki/cpio-archive.ts';
import { readInitrd } from '../uki/initrd-archives.ts';
import { malformedUki } from '../uki/malformed-uki.ts';

/** Bytes of a file that are kept, and of all of them. */
const FILE_MAX = 16 * 1024 * 1024;
const KEPT_MAX = 64 * 1024 * 1024;
/** Names that are kept. */
const NAMES_MAX = 20_000;
/** Of a symbolic link: PATH_MAX of limits.h. */
const LINK_MAX = 4096;
/** Links that lead to links, as the kernel follows them (path_resolution(7)). */
const LINKS_MAX = 40;

/** Files whose content says whom the boot trusts: keys, certificates, and the name of the system they are for. */
const TRUST =
  /^(?:(?:etc|usr\/lib)\/systemd\/import-pubring\.(?:pgp|gpg)|(?:etc|run|usr\/local\/share|usr\/share)\/voa\/.+|(?:etc|run|usr\/local\/lib|usr\/lib)\/verity\.d\/[^/]+|(?:etc|usr\/lib)\/(?:os|initrd)-release)$/;
const AUTHORITIES =
  /^etc\/(?:ssl\/certs\/ca-certificates\.crt|ssl\/ca-bundle\.pem|ssl\/cert\.pem|pki\/tls\/certs\/ca-bundle\.crt|pki\/ca-trust\/extracted\/pem\/tls-ca-bundle\.pem)$/;
const BUILT_IN = /^usr\/lib\/modules\/[^/]+\/modules\.builtin$/;
const MODULE =
  /^usr\/lib\/modules\/[^/]+\/.*\/(?:loop|erofs|squashfs|ext4|btrfs|xfs|vfat|efivarfs|overlay)\.ko(?:\.[a-z0-9]+)?$/;
/** Of these only the names matter. */
const NAMED =
  /(?:^|\/)(?:rdpull|systemd-import-generator|systemd-networkd|NetworkManager|nm-initrd-generator|connmand|wickedd|dhclient|dhcpcd|busybox|60-rdpull-loop-ref\.rules|systemd|modprobe@\.service)$/;

/** A member of the initrd that matters here. Later ones replace earlier ones, as when it is unpacked. */
type Entry =
  | { readonly kind: 'file'; content: Uint8Array | undefined }
  | { readonly kind: 'link'; target: string };

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
   * @throws RdpullError uki-malformed
   */
  unpackTrust(directory: string): void;
}

/** @throws RdpullError uki-malformed */
export async function readInitrdContent(
  body: Iterable<Uint8Array>,
  turn: () => Promise<void>,
): Promise<InitrdContent> {
  const entries = new Map<string, Entry>();
  let kept = 0;
  const releases = new Set<string>();

  const visit: CpioVisitor = (member) => {
    const name = mergedUsr(member.path);
    const [, release] = /^usr\/lib\/modules\/([^/]+)\//.exec(name) ?? [];
    if (release !== undefined && releases.size < NAMES_MAX) releases.add(release);
    const hasContent = TRUST.test(name) || AUTHORITIES.test(name) || BUILT_IN.test(name);
    if (!hasContent && !MODULE.test(name) && !NAMED.test(name)) return undefined;
    if (name.split('/').includes('..')) return undefined;
    if (entries.size > NAMES_MAX)
      throw malformedUki(`its initrd has more than ${NAMES_MAX} keys and modules`);
    return keep(name, member, hasContent);
  };

  function keep(name: string, { kind, size }: CpioMember, hasContent: boolean) {
    if (kind === 'link') {
      if (size > LINK_MAX) throw malformedUki(`a link in its initrd is ${size} bytes long`);
      return (content: Uint8Array) => {
        entries.set(name, { kind: 'link', target: new TextDecoder().decode(content) });
      };
    }
    if (kind !== 'file') return undefined;
    const entry: Entry = { kind: 'file', content: undefined };
    entries.set(name, entry);
    if (!hasContent) return undefined;
    kept += size;
    if (size > FILE_MAX || kept > KEPT_MAX)
      throw malformedUki('its initrd has keys and certificates of too many bytes');
    return (content: Uint8Array) => {
      entry.content = content;
    };
  }

  const archives = await readInitrd(body, visit, turn);

  function resolve(name: string): string | undefined {
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

  function content(name: string): Uint8Array | undefined {
    const resolved = resolve(name);
    const entry = resolved === undefined ? undefined : entries.get(resolved);
    return entry?.kind === 'file' ? entry.content : undefined;
  }

  return {
    ...archives,
    releases: [...releases],
    resolve,
    named: (name) => [...entries.keys()].filter((each) => each === name || each.endsWith(`/${name}`)),
    hasModule(module, release) {
      const spelling = new RegExp(`/${module.replaceAll(/[_-]/g, '[_-]')}\\.ko(?:\\.[a-z0-9]+)?$`);
      const prefix = `usr/lib/modules/${release}/`;
      const isThere = [...entries.keys()].some((each) => each.startsWith(prefix) && spelling.test(each));
      const builtIn = content(`${prefix}modules.builtin`);
      if (isThere || builtIn === undefined) return isThere || undefined;
      return new TextDecoder()
        .decode(builtIn)
        .split('\n')
        .some((line) => spelling.test(`/${line}`));
    },
    unpackTrust(directory) {
      for (const [name, entry] of entries) {
        if (!TRUST.test(name) && !AUTHORITIES.test(name)) continue;
        try {
          unpack(name, entry, path.join(directory, name));
        } catch (error) {
          throw malformedUki(`the keys in its initrd cannot be unpacked: ${printable(reasonOf(error))}`);
        }
      }
    },
  };

  function unpack(name: string, entry: Entry, file: string): void {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const bytes = content(name);
    if (entry.kind === 'link' && path.posix.normalize(entry.target) === '/dev/null') {
      fs.symlinkSync('/dev/null', file);
    } else if (bytes !== undefined && isFaithful(name, entry)) {
      fs.writeFileSync(file, bytes, { flag: 'wx' });
    }
  }

  /** In the directories of VOA a link counts only when it has the name of what it leads to (UAPI.11, "Symlinking"). */
  function isFaithful(name: string, entry: Entry): boolean {
    if (entry.kind === 'file' || !name.includes('/voa/')) return true;
    return path.posix.basename(resolve(name) ?? '') === path.posix.basename(name);
  }
}

/** A directory that only this user reads, and that is gone when it is disposed of. */
export class ScratchDirectory implements Disposable {
  readonly path: string;

  /** @throws RdpullError target-unwritable */
  constructor() {
    try {
      this.path = fs.mkdtempSync(path.join(os.tmpdir(), 'rdpull-check-'));
    } catch (error) {
      throw new RdpullError(
        'target-unwritable',
        `no temporary directory can be made: ${printable(reasonOf(error))}`,
        'name another place for it: TMPDIR=DIR rdpull check ...',
        { cause: error },
      );
    }
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }
}

/** Where a path leads in a system whose /bin, /lib and /sbin are links into /usr. */
function mergedUsr(name: string): string {
  return name
    .replace(/^(?:bin|sbin|lib|lib64)\//, (directory) => `usr/${directory}`)
    .replace(/^usr\/sbin\//, 'usr/bin/');
}
