const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Signal = (typeof SIGNALS)[number];

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into an AbortSignal, so that what was begun can be undone. A second one
 * ends the process at once.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  #received: Signal | undefined;
  #mayEnd: (signal: Signal) => boolean = () => true;

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#receive);
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
    // Imported, it would be something that every start loads.
    return 128 + process.getBuiltinModule('node:os').constants.signals[signal];
  }

  [Symbol.dispose](): void {
    for (const signal of SIGNALS) process.off(signal, this.#receive);
  }

  readonly #receive = (signal: Signal): void => {
    if (!this.#mayEnd(signal)) return;
    this.#received = signal;
    this[Symbol.dispose]();
    this.#controller.abort();
  };
}
