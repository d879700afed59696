import { type Exchange, exchange } from '../source/exchange.ts';
import { Pools } from '../source/pools.ts';
import { version } from '../version.ts';
import { describeMachine } from './machine.ts';
import { encodeReport, type MachineLine, REPORT_TYPE } from './report-line.ts';
import type { ReportPlace } from './report-place.ts';
import type { ReportQueue } from './report-queue.ts';

/** How long the server may take for one report, in ms. */
const SILENCE = 5000;

/** How long nothing is sent after a report that did not arrive, at first and at most, in ms. */
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** How long the end waits for a server that has not taken a report yet, in ms; not at all, once one could not be delivered. */
const UNKNOWN_PATIENCE = 250;

/**
 * How long it waits for a server that has taken one, for the report that is on its way, and for the last one: at least and at most, in ms. In between it is some times as long as the longest took:
 * where the link is slow, or the machine is busy.
 */
const KNOWN_PATIENCE = { least: 1000, most: 2500 } as const;
const SLOWNESS = 4;

/** How often {@link ReportSender.taken} looks, in ms. */
const LOOK = 50;

/** Answers that say that there is nobody any more who wants reports. */
const NOT_WANTED: ReadonlySet<number> = new Set([404, 405, 410]);

/**
 * Sends what waits in a queue, one report after the other, over a connection of its own: with no login, no client certificate and
 * no proxy, and no redirect is followed. Whatever the server does costs whoever reports nothing but this.
 */
export class ReportSender {
  readonly #place: ReportPlace;
  readonly #url: URL;
  readonly #machine: Promise<MachineLine>;
  readonly #queue: ReportQueue;
  readonly #pools = new Pools();
  readonly #ended = new AbortController();
  #running: Promise<void> | undefined;
  /** When the report began that is on its way. */
  #begun: number | undefined;
  #hasFailed = false;
  /** The longest time that a report has taken which was taken, in ms; undefined before the first. */
  #longest: number | undefined;
  #isWanted = true;
  readonly #ending = new AbortController();
  /** Gives up the report that is on its way, for the last one. */
  #giveUp = new AbortController();

  constructor(place: ReportPlace, queue: ReportQueue) {
    this.#place = place;
    this.#url = new URL(place.url);
    this.#machine = describeMachine(hostOf(this.#url, place.zone));
    this.#queue = queue;
  }

  /** There is something in the queue. */
  send(): void {
    if (!this.#isWanted || this.#ended.signal.aborted) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // What was added when the last report had just been taken.
      if (!this.#queue.isEmpty && !this.#ending.signal.aborted) this.send();
    });
  }

  /**
   * Waits until the server has taken everything.
   *
   * @param patience in ms
   * @returns whether it has
   */
  async taken(patience: number): Promise<boolean> {
    const limit = performance.now() + patience;
    while (performance.now() < limit && this.#isWanted) {
      if (this.#queue.isEmpty && this.#running === undefined) return true;
      await Bun.sleep(LOOK);
    }
    return false;
  }

  /** Sends the rest, as far as the server takes it in a moment, and ends the connection. */
  async close(): Promise<void> {
    this.#ending.abort();
    // What is on its way, and then the last words, whatever became of that: on a link that is full its answer may be lost for seconds.
    if (!(await this.#settled())) await this.#abandon();
    this.send();
    await this.#settled();
    this.#ended.abort();
    this.#pools[Symbol.dispose]();
  }

  /** Gives up what is on its way. What is news of it is back in the queue then, and goes over another connection. */
  async #abandon(): Promise<void> {
    this.#giveUp.abort();
    this.#giveUp = new AbortController();
    await Promise.race([this.#running, Bun.sleep(LOOK)]);
  }

  /** Waits for the report that is on its way, if there is one; says whether it has come to an end in time. */
  async #settled(): Promise<boolean> {
    const spent = this.#begun === undefined ? 0 : performance.now() - this.#begun;
    const limit = AbortSignal.timeout(Math.max(0, Math.round(this.#patience() - spent)));
    await Promise.race([this.#running, aborted(limit)]);
    return this.#running === undefined;
  }

  /** How long the end waits for the server, in ms. */
  #patience(): number {
    if (this.#longest === undefined) return this.#hasFailed ? 0 : UNKNOWN_PATIENCE;
    const { least, most } = KNOWN_PATIENCE;
    return Math.min(most, Math.max(least, SLOWNESS * this.#longest));
  }

  async #run(): Promise<void> {
    let pause = FIRST_PAUSE;
    while (this.#isWanted && !this.#queue.isEmpty && !this.#ended.signal.aborted) {
      const isTaken = await this.#sendOne();
      // At the end there is no time for another attempt, and each report has its own.
      if (this.#ending.signal.aborted) return;
      if (isTaken) {
        pause = FIRST_PAUSE;
        continue;
      }
      await Promise.race([Bun.sleep(pause), aborted(this.#ending.signal)]);
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  /** @returns whether the server has taken what was in the queue */
  async #sendOne(): Promise<boolean> {
    const begun = performance.now();
    this.#begun = begun;
    const machine = await this.#machine;
    const lines = this.#queue.take();
    try {
      const answer = await this.#post(encodeReport(machine, lines));
      const { status } = answer;
      await drained(answer);
      this.#isWanted = !NOT_WANTED.has(status);
      const isTaken = status >= 200 && status < 300;
      if (isTaken) this.#longest = Math.max(this.#longest ?? 0, performance.now() - begun);
      else this.#hasFailed = true;
      // What the server refuses for what it is, it would refuse again.
      if (!isTaken && status !== 400 && status !== 413) this.#queue.putBack(lines);
      return isTaken;
    } catch {
      this.#hasFailed = true;
      this.#queue.putBack(lines);
      return false;
    } finally {
      this.#begun = undefined;
    }
  }

  #post(report: string): Promise<Exchange> {
    const { ca, zone } = this.#place;
    const headers = { 'user-agent': `rdpull/${version}`, 'content-type': REPORT_TYPE };
    const signal = AbortSignal.any([this.#ended.signal, this.#giveUp.signal]);
    const options = { ca, zone, pools: this.#pools, silence: SILENCE, signal };
    return exchange(this.#url, headers, { ...options, body: Buffer.from(report) });
  }
}

/** The host of a URL, as the resolver takes it. */
function hostOf({ hostname }: URL, zone: string | undefined): string {
  return hostname.replace(/^\[(.*)\]$/, zone === undefined ? '$1' : `$1%${zone}`);
}

/** Bytes of an answer that are read for the sake of its connection. */
const ANSWER_MAX = 4096;

async function drained({ body, contentLength = 0, close }: Exchange): Promise<void> {
  let left = ANSWER_MAX;
  if (contentLength <= left) {
    for await (const chunk of body) {
      left -= chunk.length;
      if (left < 0) break;
    }
  }
  close();
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
