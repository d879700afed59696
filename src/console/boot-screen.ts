import { boundLines } from './bounded-lines.ts';
import type { ConsoleScreen } from './console-screen.ts';
import type { Plymouth } from './plymouth.ts';
import { printableUpTo } from './printable.ts';
import { type ProgressSubject, screenLine } from './progress-text.ts';
import type { RdpullError } from './rdpull-error.ts';
import { discreet } from './shown-url.ts';
import { createRateMeter } from './transfer-rate.ts';

/** Longer lines are cut, in characters: on a screen they hide more than they say. The journal has all of them. */
const LONGEST_LINE = 480;
/** But a command has to be whole. */
const LONGEST_COMMAND = 1000;

/** Warnings that are shown: at 9600 bits a second each holds the boot up for half a second. The journal has more of them. */
const WARNINGS_MAX = 8;

/** How often the rate is measured, in ms, and at most a line is drawn. */
const INTERVAL = 500;

/**
 * How long consoles may take for the last lines, in ms: long for an error, which a serial line of 9600 bits a second takes
 * two seconds for; but none that takes nothing at all.
 */
const PATIENCE = {
  done: { standstill: 200, whole: 200 },
  failed: { standstill: 1000, whole: 5000 },
} as const;
type Patience = (typeof PATIENCE)[keyof typeof PATIENCE];

/** Columns of a line of plymouth, whose font is not known. */
const PLYMOUTH_COLUMNS = 80;

/** What everybody sees who looks at a console of a machine that boots. */
export interface BootScreen {
  /** The bytes begin to arrive. */
  started(subject: ProgressSubject): void;
  /** Call it whenever bytes have arrived. */
  progress(received: number, decoded: number, onDemand?: number): void;
  /** Says for a while what is going on. */
  status(text: string): void;
  /** A line that stays. */
  print(text: string): void;
  /** A line that stays, if there are not too many of them. */
  warn(text: string): void;
  /** The last lines: what failed, what to try, and how to do it again. */
  failed(error: RdpullError, retry: string): void;
  /** Takes away what moves, and waits for the consoles, but not for long. */
  close(): Promise<void>;
}

/**
 * @param isAsked whether somebody is to enter a passphrase, which must stay in sight
 * @param now a clock in ms
 */
export function createBootScreen(
  consoles: readonly ConsoleScreen[],
  plymouth: Plymouth | undefined,
  isAsked: () => boolean,
  now: () => number = () => performance.now(),
): BootScreen {
  let subject: ProgressSubject | undefined;
  let measuredAt = now();
  let rateAt = createRateMeter(measuredAt);
  let patience: Patience = PATIENCE.done;
  const print = (lines: readonly string[]) => {
    for (const each of consoles) each.print(lines);
  };
  /** Waits until the consoles have everything, as long as that goes on and the patience lasts. */
  const allSent = async () => {
    const { standstill, whole } = patience;
    const begun = now();
    let least = Number.POSITIVE_INFINITY;
    for (let changed = begun; now() - changed < standstill && now() - begun < whole; await Bun.sleep(10)) {
      const unsent = consoles.reduce((sum, each) => sum + each.unsent, 0);
      if (unsent === 0) return;
      if (unsent < least) changed = now();
      least = Math.min(least, unsent);
    }
  };
  const line = (text: string, longest = LONGEST_LINE) => printableUpTo(longest, discreet(text));
  const warnings = boundLines(
    WARNINGS_MAX,
    (text) => print([line(`rdpull: warning: ${text}`)]),
    (count) => `and ${count} more`,
  );
  return {
    started(started) {
      subject = started;
      measuredAt = now();
      rateAt = createRateMeter(measuredAt);
    },
    progress(received, decoded, onDemand) {
      const at = now();
      if (subject === undefined || at - measuredAt < INTERVAL) return;
      measuredAt = at;
      const state = { ...subject, received, decoded, onDemand, rate: rateAt(at, received) };
      if (isAsked()) return;
      for (const each of consoles) each.show((columns) => screenLine(state, columns));
      plymouth?.show(screenLine(state, PLYMOUTH_COLUMNS));
    },
    status(text) {
      if (isAsked()) return;
      for (const each of consoles) {
        each.show((columns, isDrawnOver) => line(`rdpull: ${text}`, isDrawnOver ? columns - 1 : undefined));
      }
      plymouth?.show(line(text));
    },
    print: (text) => print([line(`rdpull: ${text}`)]),
    warn: warnings.add,
    failed({ message, hint }, retry) {
      warnings.end();
      patience = PATIENCE.failed;
      const again =
        retry.length > LONGEST_COMMAND ? "the command is long: journalctl -u 'rdpull@*' has it" : retry;
      print([
        line(`rdpull: error: ${message}`),
        line(`try: ${hint}`),
        line(`retry: ${again}`, LONGEST_COMMAND),
      ]);
      plymouth?.keep(line(`rdpull: error: ${message}`));
    },
    async close() {
      warnings.end();
      for (const each of consoles) each.clear();
      const hidden = plymouth?.close();
      await allSent();
      for (const each of consoles) each[Symbol.dispose]();
      await hidden;
    },
  };
}
