import type { CpioMember, CpioVisitor } from '../uki/cpio-archive.ts';
import { type InitrdArchives, readInitrd } from '../uki/initrd-archives.ts';
import { malformedUki } from '../uki/malformed-uki.ts';

/** Bytes of a file that are kept, and of all of them. */
const FILE_MAX = 16 * 1024 * 1024;
export const KEPT_MAX = 64 * 1024 * 1024;
/** Bytes that are kept of files with several names, of which another may matter; what is more is passed over. */
const HELD_MAX = 16 * 1024 * 1024;
/** Names that are kept, and the bytes of all of them, targets of links included. */
const NAMES_MAX = 20_000;
const NAME_BYTES_MAX = 4 * 1024 * 1024;
/** Of a symbolic link: PATH_MAX of limits.h. */
const LINK_MAX = 4096;
/** Kernels that are kept, and the longest release of one: __NEW_UTS_LEN of linux/utsname.h. */
const RELEASES_MAX = 64;
const RELEASE_MAX = 64;

/** Whom the boot trusts: keys, certificates, and the name of the system they are for. */
const TRUST =
  /^(?:(?:etc|usr\/lib)\/systemd\/import-pubring\.(?:pgp|gpg)|(?:etc|run|usr\/local\/share|usr\/share)\/voa(?:\/[^/]+){5}|(?:etc|run|usr\/local\/lib|usr\/lib)\/verity\.d\/[^/]+|(?:etc|usr\/lib)\/(?:os|initrd)-release)$/;
const AUTHORITIES =
  /^etc\/(?:ssl\/certs\/ca-certificates\.crt|ssl\/ca-bundle\.pem|ssl\/cert\.pem|pki\/tls\/certs\/ca-bundle\.crt|pki\/ca-trust\/extracted\/pem\/tls-ca-bundle\.pem)$/;
const BUILT_IN = /^usr\/lib\/modules\/[^/]+\/modules\.builtin$/;
const MODULE =
  /^usr\/lib\/modules\/[^/]+\/.*\/(?:loop|fuse|erofs|squashfs|ext4|btrfs|xfs|vfat|efivarfs|overlay|nd_pmem|nvme-tcp)\.ko(?:\.[a-z0-9]+)?$/;
/** Of these only the names matter. */
const NAMED =
  /(?:^|\/)(?:rdpull|systemd-import-generator|systemd-networkd|NetworkManager|nm-initrd-generator|connmand|wickedd|dhclient|dhcpcd|busybox|60-rdpull-(?:loop-ref|nvme)\.rules|systemd|modprobe@\.service)$/;

/** The content of a file, shared by all its names; undefined when only the names matter. */
interface Inode {
  content: Uint8Array | undefined;
}

/** A member of the initrd that matters here. Later ones replace earlier ones, as when it is unpacked. */
export type InitrdEntry =
  | { readonly kind: 'file'; readonly inode: Inode }
  | { readonly kind: 'link'; readonly target: string };

/** What is kept of an initrd, by paths without a first slash. */
export interface InitrdEntries extends InitrdArchives {
  readonly entries: ReadonlyMap<string, InitrdEntry>;
  /** The releases of the kernels for which it has modules. */
  readonly releases: ReadonlySet<string>;
}

/** Whether a file, or a link to it, says whom the boot trusts. */
export function saysWhomToTrust(name: string): boolean {
  return TRUST.test(name) || AUTHORITIES.test(name);
}

/**
 * Reads an initrd and keeps what matters for a pull: memory is bounded, whatever it holds.
 *
 * @param turn is awaited now and then, so that signals have theirs
 * @throws RdpullError uki-malformed
 */
export async function readInitrdEntries(
  body: Iterable<Uint8Array>,
  turn: () => Promise<void>,
): Promise<InitrdEntries> {
  const kept = createKept();
  const archives = await readInitrd(body, kept.visit, turn);
  return { ...archives, entries: kept.entries, releases: kept.releases };
}

/** What is kept, and the bounds of it. */
function createKept(): { visit: CpioVisitor } & Pick<InitrdEntries, 'entries' | 'releases'> {
  const entries = new Map<string, InitrdEntry>();
  const releases = new Set<string>();
  /** Files with several names, by what tells them apart. */
  const inodes = new Map<string, Inode>();
  let keptBytes = 0;
  let heldBytes = 0;
  let nameBytes = 0;

  function visit(member: CpioMember) {
    const name = mergedUsr(member.path);
    const [, release] = /^usr\/lib\/modules\/([^/]+)\//.exec(name) ?? [];
    if (release !== undefined && release.length <= RELEASE_MAX && releases.size < RELEASES_MAX) {
      releases.add(release);
    }
    const hasContent = saysWhomToTrust(name) || BUILT_IN.test(name);
    const matters = hasContent || MODULE.test(name) || NAMED.test(name);
    if (!matters || name.split('/').includes('..')) return hold(member);
    countName(name);
    if (entries.size >= NAMES_MAX)
      throw malformedUki(`its initrd has more than ${NAMES_MAX} keys and modules`);
    if (member.kind === 'link') return keepLink(name, member);
    return member.kind === 'file' ? keepFile(name, member, hasContent) : undefined;
  }

  function keepLink(name: string, { size }: CpioMember) {
    if (size > LINK_MAX) throw malformedUki(`a link in its initrd is ${size} bytes long`);
    return (content: Uint8Array) => {
      countName(content);
      entries.set(name, { kind: 'link', target: new TextDecoder().decode(content) });
    };
  }

  function keepFile(name: string, member: CpioMember, hasContent: boolean) {
    const inode = inodeOf(member);
    entries.set(name, { kind: 'file', inode });
    if (!hasContent) return undefined;
    inode.content ??= new Uint8Array(0);
    return member.size === 0 && member.names > 1 ? undefined : keepContent(member, inode);
  }

  /** Of a file with several names any may come with its content, and the others without: usually that is the last one. */
  function hold(member: CpioMember) {
    if (member.kind !== 'file' || member.names < 2 || member.size === 0) return undefined;
    const wanted = inodes.get(member.inode);
    if (wanted?.content !== undefined) return keepContent(member, wanted);
    if (heldBytes + member.size > HELD_MAX || inodes.size >= NAMES_MAX) return undefined;
    heldBytes += member.size;
    const inode = inodeOf(member);
    return (content: Uint8Array) => {
      inode.content = content;
    };
  }

  function inodeOf({ inode, names }: CpioMember): Inode {
    if (names < 2) return { content: undefined };
    const known = inodes.get(inode) ?? { content: undefined };
    inodes.set(inode, known);
    return known;
  }

  function keepContent({ size }: CpioMember, inode: Inode) {
    keptBytes += size;
    if (size > FILE_MAX || keptBytes > KEPT_MAX) {
      throw malformedUki('its initrd has keys and certificates of too many bytes');
    }
    return (content: Uint8Array) => {
      inode.content = content;
    };
  }

  function countName({ length }: string | Uint8Array): void {
    nameBytes += length;
    if (nameBytes > NAME_BYTES_MAX) throw malformedUki('the names in its initrd have too many bytes');
  }

  return { visit, entries, releases };
}

/** Where a path leads in a system whose /bin, /lib and /sbin are links into /usr. */
export function mergedUsr(name: string): string {
  return name
    .replace(/^(?:bin|sbin|lib|lib64)\//, (directory) => `usr/${directory}`)
    .replace(/^usr\/sbin\//, 'usr/bin/');
}
