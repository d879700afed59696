/** How often a virtual terminal is drawn, and how often a line is written where there is no cursor, in ms. */
const DRAW_INTERVAL = 500;
const LINE_INTERVAL = 5000;

/** What a terminal has that does not say how wide it is. */
const USUAL_COLUMNS = 80;

/** Of what a console does not take, so many bytes are kept for it. */
const KEPT = 8192;

const CLEAR_LINE = '\r\x1b[K';

/**
 * Ends lines that stay. systemd erases the line above its cursor ("\eM\r\e[K") before it says anything, as long as it
 * shows which jobs run: that must not be one of these (src/core/show-status.c, ANSI_REVERSE_LINEFEED).
 */
const SACRIFICE = '\r\n';

/** A device that text is written to. */
export interface ConsoleOutput extends Disposable {
  readonly columns: number | undefined;
  /** @returns how many bytes were taken; throws when it is gone */
  write(bytes: Uint8Array): number;
  /** Bytes that were taken, but not sent. */
  readonly unsent: number;
  discard(): void;
}

/**
 * One console with a line that moves: on a virtual terminal it is drawn over itself, elsewhere it is a line now and
 * then, without escape codes. What the console does not take is kept within bounds; a console that is gone is forgotten.
 */
export class ConsoleScreen implements Disposable {
  readonly #isVirtualTerminal: boolean;
  readonly #now: () => number;
  #output: ConsoleOutput | undefined;
  #shownAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;
  #kept = Buffer.alloc(0);

  /** @param now a clock in ms */
  constructor(output: ConsoleOutput, isVirtualTerminal: boolean, now: () => number) {
    this.#output = output;
    this.#isVirtualTerminal = isVirtualTerminal;
    this.#now = now;
  }

  /**
   * Shows a line until the next one, when it is time for one.
   *
   * @param text the line, in at most so many columns where it is drawn over
   */
  show(text: (columns: number, isDrawnOver: boolean) => string): void {
    const at = this.#now();
    const interval = this.#isVirtualTerminal ? DRAW_INTERVAL : LINE_INTERVAL;
    if (at - this.#shownAt < interval) return;
    this.#shownAt = at;
    this.#send();
    // The next one will say more than this one.
    if (this.#kept.length > 0) return;
    const shown = text((this.#output?.columns ?? USUAL_COLUMNS) - 1, this.#isVirtualTerminal);
    this.#write(this.#isVirtualTerminal ? `${CLEAR_LINE}${shown}` : `${shown}\r\n${SACRIFICE}`);
    this.#isDrawn = this.#isVirtualTerminal;
  }

  /** Writes lines that stay. */
  print(lines: readonly string[]): void {
    this.clear();
    this.#write(`${lines.map((line) => `${line}\r\n`).join('')}${SACRIFICE}`);
    this.#shownAt = this.#now();
  }

  /** Takes the line away that would move. */
  clear(): void {
    if (this.#isDrawn) this.#write(CLEAR_LINE);
    this.#isDrawn = false;
  }

  /** Bytes that are still to be sent; none of a console that is gone. */
  get unsent(): number {
    this.#send();
    return this.#tolerate((output) => this.#kept.length + output.unsent) ?? 0;
  }

  [Symbol.dispose](): void {
    if (this.unsent > 0) this.#tolerate((output) => output.discard());
    this.#tolerate((output) => output[Symbol.dispose]());
    this.#output = undefined;
  }

  #write(text: string): void {
    const bytes = Buffer.concat([this.#kept, Buffer.from(text)]);
    // The last words are the most important ones.
    this.#kept = bytes.subarray(Math.max(0, bytes.length - KEPT));
    this.#send();
  }

  #send(): void {
    while (this.#kept.length > 0) {
      const taken = this.#tolerate((output) => output.write(this.#kept)) ?? this.#kept.length;
      if (taken === 0) return;
      this.#kept = this.#kept.subarray(taken);
    }
  }

  /** @returns undefined when the console is gone */
  #tolerate<T>(action: (output: ConsoleOutput) => T): T | undefined {
    const output = this.#output;
    if (output === undefined) return undefined;
    try {
      return action(output);
    } catch {
      this.#output = undefined;
      try {
        output[Symbol.dispose]();
      } catch {
        // It was closed already.
      }
      return undefined;
    }
  }
}
