import path from 'node:path';
import { printable } from '../console/printable.ts';
import { createProgress, type Progress } from '../console/progress.ts';
import { size } from '../console/quantity.ts';
import type { Reporter } from '../console/reporter.ts';
import type { ServiceNotifier } from '../console/service-notifier.ts';
import { shownUrl } from '../console/shown-url.ts';
import type { TransferObserver } from '../transfer/transfer.ts';

/** What a person and the service manager see of a pull. */
export interface Display {
  /** A server fails: `text` says what is done about it, after `pause` ms. */
  notify(text: string, pause: number): void;
  observe(target: string): TransferObserver;
  /** Removes what is left of the progress. */
  end(): void;
}

/** Shows a pull to both. */
export function createDisplay(reporter: Reporter, service: ServiceNotifier): Display {
  let progress: Progress | undefined;
  const end = () => progress?.end();
  return {
    end,
    notify(text, pause) {
      end();
      reporter.info(text, { event: 'server-awaited', milliseconds: Math.round(pause) });
      service.waiting(text, pause);
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
          if (!reporter.options.quiet) progress = createProgress(name, total, reporter.progressOutput);
        },
        progress({ received }) {
          service.progress(received);
          progress?.update(received);
        },
        warn: reporter.warn,
        explain: reporter.detail,
      };
    },
  };
}
