import type { ServerResponse } from 'node:http';
import type { ListSigner } from './list-signer.ts';
import type { Machine } from './machine.ts';
import type { MachineTable } from './machine-table.ts';
import { machineView } from './machine-view.ts';
import type { NvmeExport } from './nvme/nvme-announcement.ts';
import type { ServedDirectory } from './served-directory.ts';
import { type Served, siteKey, siteView } from './site-view.ts';

/** Where the page gets its news. */
export const EVENTS_PATH = '/.rdpull/events';

/** Pages that are kept up to date at one time. */
const PAGES_MAX = 32;

/** How often news is sent, and how often the directory is looked at, in ms. However much machines tell, a page gets no more. */
const NEWS_INTERVAL = 500;
const SITE_INTERVAL = 3000;

/** A page that takes nothing is left when so many bytes wait for it: it asks again, and gets all anew. */
const WAITING_MAX = 4 * 1024 * 1024;

/** After how long a page that lost the server asks again, in ms. */
const RETRY = 2000;

/** What the stream tells of. */
interface Told {
  readonly directory: ServedDirectory;
  readonly machines: MachineTable;
  readonly signer: ListSigner | undefined;
  warn(text: string): void;
}

/** Keeps open pages up to date, by server-sent events (HTML Standard, section 9.2). Nothing is done where no page is open. */
export class EventStream implements Disposable {
  readonly #told: Told;
  readonly #pages = new Set<ServerResponse>();
  readonly #changed = new Set<Machine>();
  readonly #gone = new Set<number>();
  readonly #watch: Disposable;
  #timers: NodeJS.Timeout[] = [];
  #site: { key: string; text: string } | undefined;
  #served: Served = { address: '127.0.0.1', port: 0 };
  #exported: () => readonly NvmeExport[] = () => [];

  constructor(told: Told) {
    this.#told = told;
    this.#watch = told.machines.watch({
      told: () => undefined,
      changed: (machine) => {
        if (this.#pages.size > 0) this.#changed.add(machine);
      },
      gone: (machine) => {
        this.#changed.delete(machine);
        if (this.#pages.size > 0) this.#gone.add(machine.row);
      },
    });
  }

  /** Where the server listens. */
  servedAt(served: Served): void {
    this.#served = served;
  }

  /** What is exported over NVMe, at any time. */
  exporting(exported: () => readonly NvmeExport[]): void {
    this.#exported = exported;
  }

  /**
   * Keeps a page up to date from now on, until it is closed.
   *
   * @returns false when there are too many of them
   */
  add(page: ServerResponse): boolean {
    if (this.#pages.size >= PAGES_MAX) return false;
    page.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    page.write(`retry: ${RETRY}\n\n`);
    this.#send(page, this.#siteText());
    const machines = this.#told.machines.machines.map(machineView);
    this.#send(page, event('machines', { all: true, machines, gone: [], now: Date.now() }));
    this.#pages.add(page);
    page.on('close', () => {
      this.#pages.delete(page);
      if (this.#pages.size === 0) this.#rest();
    });
    if (this.#timers.length === 0) {
      this.#timers = [
        setInterval(() => this.#tellMachines(), NEWS_INTERVAL),
        setInterval(() => this.#tellSite(), SITE_INTERVAL),
      ];
      for (const timer of this.#timers) timer.unref();
    }
    return true;
  }

  #tellMachines(): void {
    if (this.#changed.size + this.#gone.size === 0) return;
    const machines = [...this.#changed].map(machineView);
    const text = event('machines', { all: false, machines, gone: [...this.#gone], now: Date.now() });
    this.#changed.clear();
    this.#gone.clear();
    for (const page of this.#pages) this.#send(page, text);
  }

  #tellSite(): void {
    const before = this.#site?.key;
    const text = this.#siteText();
    if (this.#site?.key !== before) for (const page of this.#pages) this.#send(page, text);
    // So that whoever is gone is noticed, and nothing between takes the connection for a dead one.
    else for (const page of this.#pages) this.#send(page, ':\n\n');
  }

  #siteText(): string {
    const { directory, signer, warn } = this.#told;
    try {
      const exported = this.#exported();
      const key = siteKey(directory, exported);
      if (this.#site?.key !== key) {
        this.#site = { key, text: event('site', siteView(directory, this.#served, signer, exported)) };
      }
    } catch (error) {
      // The directory is gone, or on its way to be another one.
      warn(
        `the page does not show what is served: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    return this.#site?.text ?? '';
  }

  #send(page: ServerResponse, text: string): void {
    if (page.writableLength > WAITING_MAX) page.destroy();
    else if (text !== '') page.write(text);
  }

  #rest(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    this.#changed.clear();
    this.#gone.clear();
  }

  [Symbol.dispose](): void {
    this.#rest();
    this.#watch[Symbol.dispose]();
    for (const page of this.#pages) page.end();
  }
}

/** JSON has no line that ends within it, so that an event is one line of data. */
function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
