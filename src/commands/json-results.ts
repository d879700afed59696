import type { Compression } from '../decode/compression-magic.ts';
import type { AttachedLoopDevice } from '../expose/loop-device.ts';
import type { FoundNamespace } from '../nvme/attach-namespace.ts';
import type { BootOriginSource } from '../origin/boot-origin.ts';
import type { DhcpLease } from '../origin/dhcp/dhcp-lease.ts';
import type { DhcpOriginField } from '../origin/dhcp/dhcp-origin.ts';
import type { Promised } from '../transfer/promise.ts';
import type { TransferResult } from '../transfer/transfer.ts';

/*
 * What the commands print with --json, as rdpull-json(7) promises it: fields are added, none is renamed or removed within
 * a major version. `attach` of a file prints an AttachedLoopDevice. A field that is undefined is not printed, a Date as ISO 8601.
 */

/** How an image was made usable. */
export interface ExposedJson {
  readonly mount?: string;
  readonly loop?: AttachedLoopDevice;
  readonly root?: string;
}

/** Where an image has come from that was pulled with a cache. */
export interface CacheFiguresJson {
  /** Bytes as served, from a server and from the cache. */
  readonly fetched: number;
  readonly reused: number;
  /** The file in the cache; none when it could not be kept. */
  readonly image?: string;
  readonly triesLeft?: number;
  /** Why it is used in place of what the server has. */
  readonly why?: string;
}

/** `attach` of a disk that stays on an NVMe server. */
export interface AttachedNamespaceJson extends FoundNamespace {
  readonly root?: string;
}

/** `detach` of such a disk. */
export interface DetachedNamespaceJson {
  readonly device: string;
  readonly url: string;
}

/** `pull`, when the image was downloaded, or taken from the cache. */
export interface PulledJson extends ExposedJson {
  readonly target: string;
  readonly url: string;
  /** Bytes as served. */
  readonly received: number;
  /** Bytes after decompression, and after the conversion of a qcow2 image. */
  readonly decoded: number;
  readonly entries: number;
  readonly compression: Compression;
  readonly format: TransferResult['format'];
  readonly layers?: number;
  readonly sha256: string;
  readonly promised: Promised | undefined;
  readonly milliseconds: number;
  readonly cache?: CacheFiguresJson;
}

/** `pull --on-demand`: the first of two lines, when the image can be read. */
export interface AttachedJson extends ExposedJson {
  readonly event: 'attached';
  readonly target: string;
}

/** What of an image was read before it was there. */
export interface OnDemandFiguresJson {
  /** Blocks that somebody has waited for, and bytes of the image. */
  readonly blocks: number;
  readonly bytes: number;
  /** Blocks that the file has. */
  readonly ofBlocks: number;
  readonly requests: number;
  readonly handedOver: boolean;
}

/** The second line, when all of it is there. */
export interface OnDemandJson extends Omit<PulledJson, 'sha256'> {
  readonly event: 'complete';
  readonly sha256?: string;
  readonly onDemand: OnDemandFiguresJson;
}

/** `pull --keep`, when the image was there already. */
export interface KeptJson extends ExposedJson {
  readonly target: string;
  readonly kept: true;
}

/** `pull --ramdisk`, when the firmware had left the image in memory. */
export interface RamDiskJson extends ExposedJson {
  readonly target: string;
  /** Such as /dev/pmem0. */
  readonly ramDisk: string;
  /** Bytes of the image. */
  readonly size: number;
  readonly promised: Promised | undefined;
}

/** `pull` of an image beside the boot URL, on a machine that has none. */
export interface SkippedJson {
  readonly skipped: 'no boot URL';
}

/** An image in a cache. */
export interface CachedImageJson {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  /** Whether it has come up, and whether it is the newest one of its name that has. */
  readonly good: boolean;
  readonly lastGood: boolean;
  readonly triesLeft?: number;
  readonly triesDone?: number;
  readonly pinned: boolean;
  /** Whether this boot has used it. */
  readonly running: boolean;
  /** Bytes as served. */
  readonly size: number;
  readonly sha256: string;
  readonly url: string;
  readonly stored: string;
}

/** `cache list`, `cache pin` and `cache unpin`. */
export interface CacheListJson {
  readonly cache: string;
  readonly images: readonly CachedImageJson[];
}

/** `cache verify`. */
export interface CacheVerifiedJson {
  readonly images: readonly { readonly file: string; readonly good: boolean }[];
}

/** `cache prune`. */
export interface CachePrunedJson {
  readonly removed: readonly string[];
}

/** One entry of the firmware's boot menu. */
export interface BootEntryJson {
  /** Four hexadecimal digits, as efibootmgr writes them. */
  readonly number: string;
  readonly title: string;
  /** What it boots over HTTP; null: something else. */
  readonly url: string | null;
  readonly active: boolean;
  /** Its place in the order, from 1; null: it is in the menu alone. */
  readonly place: number | null;
  /** Whether the next start begins with it, and whether this one did. */
  readonly next: boolean;
  readonly current: boolean;
}

/** `boot-entry list`. */
export interface BootEntriesJson {
  readonly entries: readonly BootEntryJson[];
}

export interface DetachedJson {
  readonly device: string;
  readonly backingFile: string;
}

export interface VerifiedJson {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly promised: Promised;
}

/** `origin`; `url` is null on a machine that was not booted over HTTP. */
export type OriginJson = (
  | { readonly url: string; readonly source: BootOriginSource; readonly images: readonly string[] }
  | { readonly url: null; readonly images?: readonly string[] }
) &
  LeasesJson & {
    /** Where `nvme+tcp:` asks for a disk; nothing where nobody says what the machine was booted from. */
    readonly nvme?: readonly string[];
  };

/** What DHCP says of where to boot from; nothing on a machine without a lease. */
interface LeasesJson {
  readonly leases?: readonly { readonly [field in keyof DhcpLease]: string | null }[];
  /** What dhcporigin takes; null when no lease has it. */
  readonly dhcp?: { readonly url: string; readonly source: string; readonly field: DhcpOriginField } | null;
}

/** `free-initramfs`: what it has removed, which is nothing where there was no reason to. */
export interface FreedJson {
  readonly files: number;
  readonly bytes: number;
  readonly left: number;
}

/** `report-root`: what the server has taken. */
export interface ReportedRootJson {
  readonly mounted: boolean;
  readonly switched: boolean;
}

/** The first line of `serve`; each of the others is a RequestJson. */
export interface ServingJson {
  readonly event: 'serving';
  readonly directory: string;
  readonly urls: readonly string[];
  readonly ukis: readonly {
    readonly url: string;
    readonly images: readonly { readonly urls: readonly string[]; readonly pulled: string | null }[];
  }[];
  /** null without --nvme */
  readonly nvme: {
    readonly mode: 'ro' | 'rw';
    readonly images: readonly {
      readonly path: string;
      readonly nqn: string;
      readonly urls: readonly string[];
      readonly parameter: string;
    }[];
    readonly left: readonly { readonly path: string; readonly why: string }[];
  } | null;
}

/** `serve --take-back`. */
export interface TakenBackJson {
  readonly takenBack: boolean;
}
