import { bootClock } from '../record/moment.ts';
import { certificateAuthorities } from '../source/certificate-authorities.ts';
import type { ReportPlace } from './report-place.ts';
import { ReportQueue } from './report-queue.ts';
import { ReportSender } from './report-sender.ts';

/** What is told of the root file system, when the pulls have ended. */
export type RootEvent = 'root-mounted' | 'root-switched';

/** Tells of the root. To be made in the initrd, where it is known who this machine is, and whom it trusts. */
export class RootReports {
  readonly #sinceBoot = bootClock();
  readonly #queue = new ReportQueue();
  readonly #sender: ReportSender;

  constructor(place: ReportPlace) {
    if (place.url.startsWith('https:')) keepAuthorities(place.ca);
    this.#sender = new ReportSender(place, this.#queue);
  }

  /** Tells it now, or as soon as the server takes it. */
  tell(event: RootEvent, message: string): void {
    this.#queue.add({ event, at: this.#sinceBoot(), message });
    this.#sender.send();
  }

  /**
   * Ends it, once the server has taken everything.
   *
   * @param patience how long it may take for that, in ms
   * @returns whether it has
   */
  async end(patience: number): Promise<boolean> {
    const isTaken = await this.#sender.taken(patience);
    await this.#sender.close();
    return isTaken;
  }
}

/** Reads whom to trust while the files are there. Without them the server cannot be told, which is no reason for anything to fail. */
function keepAuthorities(files: readonly string[]): void {
  try {
    certificateAuthorities(files);
  } catch {
    // Each attempt to tell it will find the same.
  }
}
