import path from 'node:path';
import { printable } from '../console/printable.ts';
import { createProgress, type Progress } from '../console/progress.ts';
import { size } from '../console/quantity.ts';
import type { Reporter } from '../console/reporter.ts';
import type { ServiceNotifier } from '../console/service-notifier.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { Recorder } from '../record/recorder.ts';
import type { TransferObserver } from '../transfer/transfer.ts';

/** What a person and the service manager see of a pull. */
export interface Display {
  /** A server fails: `text` says what is done about it, after `pause` ms. */
  notify(text: string, pause: number): void;
  observe(target: string): TransferObserver;
  /** Removes what is left of the progress. */
  end(): void;
}

/** Shows a pull to both, and keeps its record. */
export function createDisplay(reporter: Reporter, service: ServiceNotifier, recorder: Recorder): Display {
  let progress: Progress | undefined;
  const end = () => progress?.end();
  return {
    end,
    notify(text, pause) {
      end();
      reporter.info(text, { event: 'server-awaited', milliseconds: Math.round(pause) });
      service.waiting(text, pause);
      recorder.waiting(text);
    },
    observe(target) {
      const name = path.basename(target);
      return {
        started({ url, size: total }) {
          end();
          const subject = { url: shownUrl(url), target: printable(target) };
          reporter.about(subject);
          reporter.info(`pulling ${subject.url} (${total === undefined ? 'length unknown' : size(total)})`, {
            event: 'pull-started',
            ...subject,
            size: total,
          });
          service.started(name, total);
          recorder.started(url, total);
          if (!reporter.options.quiet) progress = createProgress(name, total, reporter.progressOutput);
        },
        progress({ received, decoded }) {
          service.progress(received);
          recorder.progress(received, decoded);
          progress?.update(received);
        },
        warn: reporter.warn,
        explain: reporter.detail,
      };
    },
  };
}
