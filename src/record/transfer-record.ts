import type { ErrorRecord } from '../console/rdpull-error.ts';
import type { Moment } from './moment.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** How far a transfer has come, as its process says itself. */
export const RECORDED_STATES = ['running', 'done', 'kept', 'skipped', 'failed', 'interrupted'] as const;
export type RecordedState = (typeof RECORDED_STATES)[number];

/** What vouched for the image. */
export interface RecordedPromise {
  readonly manifestUrl?: string;
  /** Who signed the checksum file. */
  readonly signedBy?: { readonly by: string; readonly fingerprint: string; readonly userId?: string };
}

/** How an image was read that was not there yet. */
export interface RecordedOnDemand {
  /** Bytes of it, and blocks as the file has them, that somebody has waited for. */
  readonly bytes: number;
  readonly blocks: number;
  readonly handedOver: boolean;
}

/** Where an image has come from that was pulled with a cache. */
export interface RecordedCache {
  /** Bytes as served, from a server and from the cache. */
  readonly fetched: number;
  readonly reused: number;
  /** The file in the cache, and what stays of its name when it is counted; none when it could not be kept. */
  readonly image?: string;
  readonly id?: string;
  /** How often it may still be booted without coming up; none for one that has. */
  readonly triesLeft?: number;
  /** Why it is used in place of what the server has. */
  readonly why?: string;
}

/** What a pull leaves behind about itself. Nothing in it is secret: URLs are without logins. Sizes in bytes. */
export interface TransferRecord {
  readonly state: RecordedState;
  /** The final name of the image. */
  readonly target: string;
  readonly url?: string;
  /** What was demanded, as `--verify=` spells it. */
  readonly verify: string;
  readonly begun: Moment;
  /** When this was written: in all states but running, the end. */
  readonly updated: Moment;
  readonly received: number;
  readonly decoded: number;
  /** How long the file is, as served. */
  readonly total?: number;
  /** Whether all of it has come, and was verified. */
  readonly isWhole?: boolean;
  readonly sha256?: string;
  readonly promised?: RecordedPromise;
  /** Of an image that could be read before it was there: what of it was, and whether it is a file like any other by now. */
  readonly onDemand?: RecordedOnDemand;
  readonly cache?: RecordedCache;
  /** The loop device. */
  readonly device?: string;
  /** The device with the root file system. */
  readonly root?: string;
  readonly mount?: string;
  readonly error?: ErrorRecord;
  /** Why nothing was pulled, or what is waited for. */
  readonly note?: string;
  readonly process: ProcessIdentity;
  readonly unit?: string;
  /** The arguments of the command, behind the name of the program. */
  readonly command: readonly string[];
}
