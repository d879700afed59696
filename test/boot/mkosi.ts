import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { CHECKOUT } from './scratch.ts';

/** The port of `mkosi serve`. */
export const MKOSI_PORT = 8081;

/** @throws Error when somebody else serves there already, whom a machine would boot from */
export async function requireUnusedPort(): Promise<void> {
  if ((await head('')) !== undefined) throw new Error(`somebody serves on port ${MKOSI_PORT} already`);
}

/** undefined when nobody answers. */
async function head(name: string): Promise<Response | undefined> {
  return await fetch(`http://127.0.0.1:${MKOSI_PORT}/${name}`, { method: 'HEAD' }).catch(() => undefined);
}

/** scripts/mkosi at work, as somebody calls it in the checkout. What it says goes to a file. */
export class Mkosi implements AsyncDisposable {
  readonly #process;

  constructor(args: readonly string[], log: string) {
    const output = fs.openSync(log, 'a');
    this.#process = spawn(path.join(CHECKOUT, 'scripts/mkosi'), args, {
      cwd: CHECKOUT,
      stdio: ['ignore', output, output],
      // A group of its own, which is stopped as the terminal does it.
      detached: true,
    });
    fs.closeSync(output);
  }

  /** Waits until it serves. */
  async serving(name: string): Promise<void> {
    for (;;) {
      if (this.#ended) throw new Error(`scripts/mkosi ended with status ${this.#process.exitCode}`);
      if ((await head(name))?.ok === true) return;
      await Bun.sleep(500);
    }
  }

  /** Waits until it has ended well. */
  async done(): Promise<void> {
    if (!this.#ended) await once(this.#process, 'exit');
    if (this.#process.exitCode !== 0)
      throw new Error(`scripts/mkosi ended with status ${this.#process.exitCode}`);
  }

  get #ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** Control-C. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { pid } = this.#process;
    if (this.#ended || pid === undefined) return;
    const exit = once(this.#process, 'exit');
    process.kill(-pid, 'SIGINT');
    await exit;
  }
}
