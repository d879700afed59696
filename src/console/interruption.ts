import fs from 'node:fs';

/** Their numbers are the same on every architecture of Linux (signal(7)). */
const NUMBERS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const satisfies readonly (keyof typeof NUMBERS)[];
type Signal = (typeof SIGNALS)[number];

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into an AbortSignal, so that what was begun can be undone. A second one
 * ends the process at once. One that was ignored when the process began stays ignored: nohup(1) means it so.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #heeded = heededSignals();
  #received: Signal | undefined;
  #mayEnd: (signal: Signal) => boolean = () => true;

  constructor() {
    for (const signal of this.#heeded) process.on(signal, this.#receive);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Which signal came; undefined when none did. */
  get received(): Signal | undefined {
    return this.#received;
  }

  /**
   * Until it is disposed of, a signal for which `mayEnd` says no is as if it had not come. It is asked at each.
   */
  guard(mayEnd: (signal: Signal) => boolean): Disposable {
    this.#mayEnd = mayEnd;
    return {
      [Symbol.dispose]: () => {
        this.#mayEnd = () => true;
      },
    };
  }

  /**
   * Ends the process by `signal`, so that whoever waits for it sees why it ended.
   *
   * @returns where the kernel lets no signal end it, in the first process of a container: what a shell would say of it
   */
  dieOf(signal: Signal): number {
    this[Symbol.dispose]();
    process.kill(process.pid, signal);
    return 128 + NUMBERS[signal];
  }

  [Symbol.dispose](): void {
    for (const signal of this.#heeded) process.off(signal, this.#receive);
  }

  readonly #receive = (signal: Signal): void => {
    if (!this.#mayEnd(signal)) return;
    this.#received = signal;
    this[Symbol.dispose]();
    this.#controller.abort();
  };
}

/** All but those that this process was started to ignore, by nohup(1) or by a shell that puts it into the background. */
function heededSignals(): readonly Signal[] {
  const ignored = ignoredSignals();
  return SIGNALS.filter((signal) => ((ignored >> BigInt(NUMBERS[signal] - 1)) & 1n) === 0n);
}

/** A bit for each signal, from 1 up (proc_pid_status(5)); none where there is no /proc. */
function ignoredSignals(): bigint {
  try {
    const status = fs.readFileSync('/proc/self/status', 'latin1');
    return BigInt(`0x${/^SigIgn:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  } catch {
    return 0n;
  }
}
