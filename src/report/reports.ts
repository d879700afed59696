import type { JournalEvent, JournalSubject } from '../console/journal-events.ts';
import type { RdpullError } from '../console/rdpull-error.ts';
import { createRateMeter } from '../console/transfer-rate.ts';
import { bootClock } from '../record/moment.ts';
import type { HeardAnswer } from '../source/source.ts';
import { type EventLine, isReportEvent, type ReportEvent, reportedFields } from './report-line.ts';
import type { ReportPlace } from './report-place.ts';
import { ReportQueue } from './report-queue.ts';
import type { ReportSender } from './report-sender.ts';
import { REPORT_HEADER, reportUrl } from './report-url.ts';

/** Progress is told at most so often, in ms. */
const INTERVAL = 2000;

/** What one pull tells the server that it pulls from, if that asks for it. Nothing here waits, fails, or grows, but for the end. */
export class Reports {
  readonly #queue = new ReportQueue();
  readonly #sinceBoot = bootClock();
  readonly #switchRoot: ((place: ReportPlace) => void) | undefined;
  #sender: Promise<ReportSender> | undefined;
  #subject: ReturnType<typeof reportedFields> = {};
  #told = Number.NEGATIVE_INFINITY;
  #rateAt = createRateMeter(performance.now());
  #size: number | undefined;

  /** @param switchRoot hears where reports go, for who will tell that the root was switched to; absent: nobody will */
  constructor(switchRoot?: (place: ReportPlace) => void) {
    this.#switchRoot = switchRoot;
  }

  /** A server has answered. The first one that asks for reports gets them. */
  heard({ url, header, zone }: HeardAnswer, ca: readonly string[]): void {
    if (this.#sender !== undefined) return;
    const asked = reportUrl(url, header(REPORT_HEADER));
    if (asked === undefined) return;
    const place: ReportPlace = { url: asked.href, ca, zone };
    // Only here, because few servers ask.
    this.#sender = import('./report-sender.ts').then(
      ({ ReportSender: Sender }) => new Sender(place, this.#queue),
    );
    this.#sender.catch(() => undefined);
    this.#switchRoot?.(place);
    if (!this.#queue.isEmpty) this.#send();
  }

  /** Which image all that follows is about. */
  about(subject: JournalSubject): void {
    this.#subject = reportedFields(subject);
  }

  /** Something has happened that the journal has as well. */
  tell(message: string, { event, ...fields }: JournalEvent): void {
    if (isReportEvent(event)) this.#add(event, { message, ...reportedFields(fields) });
  }

  /** The bytes begin to arrive, so many of them. */
  started(size: number | undefined): void {
    this.#size = size;
    this.#rateAt = createRateMeter(performance.now());
    this.#told = performance.now();
  }

  /** Call it whenever bytes have arrived. */
  progress(received: number, written: number, bytesOnDemand?: number): void {
    const now = performance.now();
    if (this.#sender === undefined || now - this.#told < INTERVAL) return;
    this.#told = now;
    const rate = Math.round(this.#rateAt(now, received));
    const size = this.#size;
    this.#add('progress', {
      ...{ received, written, rate },
      ...(size !== undefined && { size }),
      ...(bytesOnDemand !== undefined && { bytesOnDemand }),
    });
  }

  failed({ code, message, hint }: RdpullError, retry: string): void {
    this.#add('failed', { message, error: code, hint, retry });
  }

  interrupted(): void {
    this.#add('interrupted', { message: 'interrupted' });
  }

  /** Sends the rest, as far as that takes no more than a moment. */
  async close(): Promise<void> {
    const sender = await this.#sender?.catch(() => undefined);
    await sender?.close();
  }

  #add(event: ReportEvent, fields: Omit<EventLine, 'event' | 'at'>): void {
    this.#queue.add({ event, at: this.#sinceBoot(), ...this.#subject, ...fields });
    this.#send();
  }

  #send(): void {
    this.#sender?.then(
      (sender) => sender.send(),
      () => undefined,
    );
  }
}
