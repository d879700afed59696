import { printable } from './printable.ts';
import { type ProgressSubject, percent, statusLine } from './progress-text.ts';
import { discreet } from './shown-url.ts';
import { createRateMeter } from './transfer-rate.ts';

/** Messages about progress are at least this far apart, in ms. */
const INTERVAL = 1000;

/**
 * How long the service manager is to wait for the next message, in ms. TimeoutStartSec= of the unit says the same, so
 * that a transfer may take for ever, but rdpull itself not stand still for longer than this. It is more than the patience
 * that a unit has with a server.
 */
const PATIENCE = 360_000;

/** Tells systemd how a transfer goes on: sd_notify(3). */
export interface ServiceNotifier {
  /** The bytes begin to arrive. */
  started(subject: ProgressSubject): void;
  /** Call it whenever bytes have arrived (so many in all, before and after decompression): once a second a message goes out. */
  progress(received: number, decoded: number, onDemand?: number): void;
  /** A server fails; the next attempt comes in `pause` ms. */
  waiting(status: string, pause: number): void;
  /** All that was asked for holds. */
  ready(status: string): void;
  /** `systemctl status` then shows why. */
  failed(message: string): void;
}

/**
 * @param send sends lines of NAME=value as one message
 * @param now a clock in ms
 */
export function createServiceNotifier(
  send: (message: string) => void,
  now: () => number = () => performance.now(),
): ServiceNotifier {
  let subject: ProgressSubject = { name: '', source: undefined, total: undefined, expected: undefined };
  let sentAt = now();
  let sentReceived = 0;
  let rateAt = createRateMeter(sentAt);
  const status = (text: string) => `STATUS=${printable(discreet(text))}`;
  const extension = (pause: number) => `EXTEND_TIMEOUT_USEC=${Math.round(pause + PATIENCE) * 1000}`;
  return {
    started(started) {
      subject = started;
      sentAt = now();
      sentReceived = 0;
      rateAt = createRateMeter(sentAt);
      send(status(`${started.name}: the server answers`));
    },
    progress(received, decoded, onDemand) {
      const at = now();
      // What has not brought new bytes must not buy more time.
      if (at - sentAt < INTERVAL || received <= sentReceived) return;
      sentAt = at;
      sentReceived = received;
      const { total } = subject;
      const lines = [
        status(statusLine({ ...subject, received, decoded, onDemand, rate: rateAt(at, received) })),
        ...(total === undefined ? [] : [`X_IMPORT_PROGRESS=${percent(received, total)}%`]),
        extension(0),
      ];
      send(lines.join('\n'));
    },
    waiting: (text, pause) => send(`${status(text)}\n${extension(pause)}`),
    ready: (text) => send(`READY=1\n${status(text)}`),
    failed: (message) => send(status(message)),
  };
}
