import { type ErrorCode, RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { commandWithPlaceholders, shownUrl } from '../console/shown-url.ts';
import type { Promised } from '../transfer/promise.ts';
import { type Moment, now } from './moment.ts';
import { unitOfThisProcess } from './own-unit.ts';
import { isAlive, type ProcessIdentity, thisProcess } from './process-identity.ts';
import { readRecordOf, removeOldRecords, writeRecord } from './record-file.ts';
import type {
  RecordedCache,
  RecordedOnDemand,
  RecordedPromise,
  RecordedState,
  TransferRecord,
} from './transfer-record.ts';

/** The record of a running transfer is at most this old as long as bytes arrive, in ms. */
const INTERVAL = 2000;

/** A longer command line is not kept. Characters. */
const COMMAND_MAX = 8192;

/** What says that somebody else has the image, and that nothing was tried. */
const NOT_TRIED: readonly ErrorCode[] = ['target-exists', 'target-busy'];

/** What becomes known of a transfer on its way. */
type Known = Partial<
  Omit<TransferRecord, 'target' | 'verify' | 'state' | 'updated' | 'received' | 'decoded'>
>;

/**
 * Keeps the record of one pull, from when its target is known. Where no record can be written, to a /run that is
 * read-only or by somebody who is not root, there is none: that is no reason for a pull to fail.
 */
export class Recorder {
  readonly #detail: (text: string) => void;
  readonly #begun: Moment = now();
  readonly #process: ProcessIdentity = thisProcess();
  readonly #command: readonly string[];
  #target: string | undefined;
  #verify = '';
  #known: Known = {};
  #received = 0;
  #decoded = 0;
  /** Whether the target is ours, and the record with it. */
  #isOurs = false;
  #hasEnded = false;
  /** Whether a record is to be written that no other has made superfluous yet. */
  #isDue = false;
  #isOff = false;
  #writtenAt = Number.NEGATIVE_INFINITY;

  /**
   * @param command the arguments of this program
   * @param detail takes a line about why there is no record
   */
  constructor(command: readonly string[], detail: (text: string) => void) {
    this.#command = withPlaceholders(command);
    this.#detail = detail;
  }

  /** The target is known, and perhaps where it is to come from. The record is written when there is nothing else to do. */
  about(target: string, verify: string, url?: string): void {
    this.#target = target;
    this.#verify = verify;
    if (url !== undefined) this.#know({ url: shownUrl(url) });
    this.#isDue = true;
    setImmediate(() => {
      if (this.#isDue) this.#write('running');
    });
  }

  /** The bytes begin to arrive. */
  started(url: string, total: number | undefined): void {
    this.#isOurs = true;
    this.#received = 0;
    this.#decoded = 0;
    const { note: _, total: __, ...known } = this.#known;
    this.#known = {
      ...known,
      url: shownUrl(url),
      ...(total !== undefined && { total }),
    };
    this.#write('running');
  }

  /** Call it whenever bytes have arrived. */
  progress(received: number, decoded: number, onDemand?: RecordedOnDemand): void {
    this.#received = received;
    this.#decoded = decoded;
    if (onDemand !== undefined) this.#know({ onDemand });
    if (performance.now() - this.#writtenAt < INTERVAL) return;
    const { note: _, ...known } = this.#known;
    this.#known = known;
    this.#write('running');
  }

  /** The image can be used, though it is not all there. */
  attached(places: Pick<Known, 'device' | 'root'>): void {
    this.#know({ ...places, onDemand: { bytes: 0, blocks: 0, handedOver: false } });
    this.#write('running');
  }

  /** A server fails: `note` says what is done about it. */
  waiting(note: string): void {
    this.#know({ note });
    this.#write('running');
  }

  /** The image is complete and verified. */
  transferred(result: {
    readonly url: string;
    readonly received: number;
    readonly decoded: number;
    /** Undefined where nobody knows it. */
    readonly sha256: string | undefined;
    readonly promised: Promised | undefined;
  }): void {
    const { url, received, decoded, sha256, promised } = result;
    this.#received = received;
    this.#decoded = decoded;
    this.#know({
      url: shownUrl(url),
      isWhole: true,
      ...(sha256 !== undefined && { sha256 }),
      ...(promised !== undefined && { promised: recordedPromise(promised) }),
    });
  }

  /** What of it came out of the cache. */
  cached(cache: RecordedCache): void {
    this.#know({ cache });
  }

  /** The pull has come to its end. */
  ended(
    state: 'done' | 'kept' | 'skipped',
    more: Pick<Known, 'device' | 'root' | 'mount' | 'note' | 'onDemand'>,
  ): void {
    this.#isOurs = true;
    this.#know(more);
    this.#end(state);
  }

  /** It has not: because of an error, or because it was told to stop. */
  failed(error: unknown, isInterrupted: boolean): void {
    if (this.#hasEnded) return;
    const failure = RdpullError.from(error);
    if (!isInterrupted) {
      if (NOT_TRIED.includes(failure.code) && !this.#isOurs && this.#otherRecord() !== undefined) return;
      this.#know({ error: failure.toRecord() });
    }
    this.#end(isInterrupted ? 'interrupted' : 'failed');
  }

  #know(more: Known): void {
    this.#known = { ...this.#known, ...more };
  }

  #end(state: RecordedState): void {
    this.#hasEnded = true;
    this.#write(state);
  }

  #write(state: RecordedState): void {
    const target = this.#target;
    this.#isDue = false;
    if (target === undefined || this.#isOff) return;
    try {
      if (!this.#isOurs) {
        const other = this.#otherRecord();
        if (other?.state === 'running' && isAlive(other.process)) return;
        // It tells of an image that is there, until this pull gets at it.
        if (state === 'running' && (other?.state === 'done' || other?.state === 'kept')) return;
      }
      if (this.#writtenAt < 0) removeOldRecords();
      const { note, ...known } = this.#known;
      const unit = unitOfThisProcess();
      writeRecord({
        state,
        target,
        verify: this.#verify,
        begun: this.#begun,
        updated: now(),
        received: this.#received,
        decoded: this.#decoded,
        process: this.#process,
        command: this.#command,
        ...(unit !== undefined && { unit }),
        ...known,
        ...(note !== undefined && (state === 'running' || state === 'skipped') && { note }),
      });
      this.#writtenAt = performance.now();
    } catch (error) {
      this.#isOff = true;
      this.#detail(`rdpull status will not know of this pull: ${reasonOf(error)}`);
    }
  }

  /** What another process has written about the same target. */
  #otherRecord(): TransferRecord | undefined {
    const record = this.#target === undefined ? undefined : readRecordOf(this.#target);
    const isOwn =
      record?.process.pid === this.#process.pid && record.process.startTime === this.#process.startTime;
    return isOwn ? undefined : record;
  }
}

/** As much of it as is of interest to a person. */
function recordedPromise({ manifestUrl, signedBy }: Promised): RecordedPromise {
  return {
    ...(manifestUrl !== undefined && { manifestUrl: shownUrl(manifestUrl) }),
    ...(signedBy !== undefined && {
      signedBy: {
        by: signedBy.by,
        fingerprint: signedBy.fingerprint,
        ...(signedBy.userId !== undefined && { userId: signedBy.userId }),
      },
    }),
  };
}

function withPlaceholders(command: readonly string[]): readonly string[] {
  const words = commandWithPlaceholders(command);
  return words.reduce((length, word) => length + word.length, 0) < COMMAND_MAX ? words : [];
}
