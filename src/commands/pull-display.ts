import path from 'node:path';
import type { BootScreen } from '../console/boot-screen.ts';
import type { JournalEvent } from '../console/journal-events.ts';
import { barStyle } from '../console/locale.ts';
import { printable } from '../console/printable.ts';
import { createProgress, type Progress } from '../console/progress.ts';
import { type ProgressSubject, percent } from '../console/progress-text.ts';
import { size } from '../console/quantity.ts';
import type { RdpullError } from '../console/rdpull-error.ts';
import type { Reporter } from '../console/reporter.ts';
import type { ServiceNotifier } from '../console/service-notifier.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { OnDemandObserver } from '../on-demand/on-demand-observer.ts';
import { unitOfThisProcess } from '../record/own-unit.ts';
import type { Recorder } from '../record/recorder.ts';
import type { Reports } from '../report/reports.ts';
import { type LeftBehind, retryCommand } from '../status/retry-command.ts';
import type { TransferObserver } from '../transfer/transfer.ts';
import { exposedJson, exposedLines, exposedPlaces, tellExposed } from './exposed.ts';
import type { AttachedJson } from './json-results.ts';

/** What a person and the service manager see of a pull. */
export interface Display extends AsyncDisposable {
  /** Warnings go to the consoles as well. */
  readonly reporter: Reporter;
  /** A server fails: `text` says what is done about it, after `pause` ms. */
  notify(text: string, pause: number): void;
  observe(target: string): TransferObserver;
  observeOnDemand(target: string): OnDemandObserver;
  /** Removes what is left of the progress. */
  end(): void;
  /** The image is complete; what can fail now is what is done with it. */
  completed(): void;
  succeeded(summary: string): void;
  failed(error: RdpullError): Promise<void>;
}

/**
 * Shows a pull to both, and keeps its record.
 *
 * @param screen the consoles of the machine, where they are to show it, too
 */
export function openDisplay(audience: Heard, screen: BootScreen | undefined): Display {
  const reporter = withReports(audience.reporter, audience.reports);
  return createDisplay({
    ...audience,
    reporter: screen === undefined ? reporter : withBootScreen(reporter, screen),
    screen,
  });
}

/** Who hears of every pull. */
interface Heard {
  readonly reporter: Reporter;
  readonly service: ServiceNotifier;
  readonly recorder: Recorder;
  readonly reports: Reports;
}

/** What the journal has as an event, the server hears as well. */
function withReports(reporter: Reporter, reports: Reports): Reporter {
  const told = (say: Reporter['info']) => (text: string, event?: JournalEvent) => {
    say(text, event);
    if (event !== undefined) reports.tell(text, event);
  };
  return {
    ...reporter,
    info: told(reporter.info),
    detail: told(reporter.detail),
    warn: told(reporter.warn),
    about(subject) {
      reporter.about(subject);
      reports.about(subject);
    },
  };
}

/** What is to be noticed is shown on the consoles as well; the rest is for those who look for it. */
function withBootScreen(reporter: Reporter, screen: BootScreen): Reporter {
  return {
    ...reporter,
    warn(text, event) {
      reporter.warn(text, event);
      if (!reporter.options.quiet) screen.warn(text);
    },
  };
}

function createDisplay({
  reporter,
  service,
  recorder,
  reports,
  screen,
}: Heard & { readonly screen: BootScreen | undefined }): Display {
  const told = reporter.options.quiet ? undefined : screen;
  const bar = createBar(reporter);
  let isComplete = false;
  let known: string | undefined;
  return {
    reporter,
    end: bar.end,
    notify(text, pause) {
      bar.end();
      reporter.info(text, { event: 'server-awaited', milliseconds: Math.round(pause) });
      service.waiting(text, pause);
      recorder.waiting(text);
      told?.status(text);
    },
    observe(target) {
      known = target;
      return observerOf(target, { reporter, service, recorder, reports, screen: told, bar });
    },
    observeOnDemand(target) {
      known = target;
      return onDemandObserverOf(target, { reporter, service, recorder, reports, screen: told, bar });
    },
    completed() {
      isComplete = true;
    },
    succeeded(summary) {
      service.ready(summary);
      told?.print(summary);
    },
    async failed(error) {
      service.failed(error.message);
      const left = isComplete ? 'complete' : await leftBehind(error, known);
      const start = { unit: unitOfThisProcess(), environment: process.env };
      const retry = retryCommand(process.argv.slice(2), left, start);
      reports.failed(error, retry);
      if (screen === undefined) return;
      reporter.unbounded.info(`retry: ${retry}`);
      screen.failed(error, retry);
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([screen?.close(), reports.close()]);
    },
  };
}

/** The progress on standard error, of one start of a transfer after the other. */
interface Bar {
  start(subject: ProgressSubject): void;
  update(received: number, decoded: number, onDemand?: number): void;
  /** Removes what is left of it. */
  end(): void;
}

function createBar({ options, progressOutput }: Reporter): Bar {
  let progress: Progress | undefined;
  return {
    start(subject) {
      if (!options.quiet) progress = createProgress(subject, progressOutput, barStyle(process.env));
    },
    update: (received, decoded, onDemand) => progress?.update(received, decoded, onDemand),
    end: () => progress?.end(),
  };
}

/** All that a transfer is told to. */
interface Audience extends Heard {
  readonly screen: BootScreen | undefined;
  readonly bar: Bar;
}

function observerOf(
  target: string,
  { reporter, service, recorder, reports, screen, bar }: Audience,
): TransferObserver {
  const name = printable(path.basename(target));
  return {
    started({ url, size: total, expected }) {
      bar.end();
      const about = { url: shownUrl(url), target: printable(target) };
      const unpacked = expected === undefined ? '' : `, ${size(expected)} unpacked`;
      const pulling = `pulling ${about.url} (${total === undefined ? `length unknown${unpacked}` : size(total)})`;
      reporter.about(about);
      reporter.info(pulling, { event: 'pull-started', ...about, size: total });
      screen?.print(pulling);
      const subject = { name, source: hostOf(url), total, expected };
      service.started(subject);
      recorder.started(url, total);
      reports.started(total);
      screen?.started(subject);
      bar.start(subject);
    },
    progress({ received, decoded }) {
      service.progress(received, decoded);
      recorder.progress(received, decoded);
      reports.progress(received, decoded);
      bar.update(received, decoded);
      screen?.progress(received, decoded);
    },
    converting({ converted, size: whole }) {
      bar.end();
      const text = `converting the qcow2 image to a raw one of ${size(whole)}`;
      if (converted === 0) {
        reporter.info(text);
        screen?.print(text);
      }
      service.waiting(`${name}: ${text}, ${percent(converted, whole)} %`, 0);
      screen?.status(`${text}, ${percent(converted, whole)} %`);
    },
    warn: reporter.warn,
    explain: reporter.detail,
  };
}

/** Of an image that can be used before it is there. Where it is a root, its machine is up soon: the consoles are others' then. */
function onDemandObserverOf(target: string, audience: Audience): OnDemandObserver {
  const { reporter, service, recorder, reports, screen, bar } = audience;
  const name = printable(path.basename(target));
  let whole = 0;
  let isScreenOurs = true;
  let shown = '';
  return {
    started({ url, size: total, imageSize }) {
      whole = total ?? Number.POSITIVE_INFINITY;
      observerOf(target, audience).started({ url, size: total, expected: imageSize });
    },
    attached(device, root) {
      const exposed = { device, ...(root !== undefined && { root }) };
      const usable = `${printable(target)} can be read at ${device.device}; the rest of it is fetched meanwhile`;
      bar.end();
      reporter.info(usable);
      screen?.print(usable);
      tellExposed(reporter, target, exposed);
      recorder.attached(exposedPlaces(exposed));
      const lines = exposedLines(exposed);
      reporter.result(lines, { event: 'attached', target, ...exposedJson(exposed) } satisfies AttachedJson);
      service.ready(`${name}: can be read at ${device.device}`);
    },
    progress({ fetched, present, bytesOnDemand, blocksOnDemand }, isMounted) {
      const received = Math.min(fetched, whole);
      isScreenOurs &&= !isMounted;
      service.progress(received, present, bytesOnDemand);
      recorder.progress(received, present, {
        bytes: bytesOnDemand,
        blocks: blocksOnDemand,
        handedOver: false,
      });
      reports.progress(received, present, bytesOnDemand);
      // Without a fill, nothing may change for days.
      const news = `${received} ${bytesOnDemand}`;
      if (news !== shown) bar.update(received, present, bytesOnDemand);
      shown = news;
      if (isScreenOurs) screen?.progress(received, present, bytesOnDemand);
    },
    waiting(text) {
      bar.end();
      reporter.info(text);
      service.waiting(`${name}: ${text}`, 0);
      recorder.waiting(text);
    },
    goesOn(text) {
      bar.end();
      reporter.warn(text);
    },
    broken(error) {
      bar.end();
      const { code, message, hint } = error;
      reporter.warn(`${message}; what is there of the image can be read, and the rest cannot`, {
        event: 'image-broken',
        target: printable(target),
        error: code,
        hint,
      });
      service.failed(message);
      recorder.waiting(message);
    },
    warn: reporter.warn,
    explain: reporter.detail,
  };
}

/** What there is at the place of an image that could not be made. */
async function leftBehind({ code }: RdpullError, target: string | undefined): Promise<LeftBehind> {
  if (code !== 'target-exists' || target === undefined) return 'nothing';
  const { useOfTarget } = await import('../expose/target-in-use.ts');
  return useOfTarget(target) === undefined ? 'another' : 'used';
}

/** The server of a URL, without a login; undefined for a file. */
function hostOf(url: string): string | undefined {
  const host = URL.canParse(url) ? new URL(url).host : '';
  return host === '' ? undefined : printable(host);
}
