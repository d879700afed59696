import type { Patience } from '../source/source.ts';
import type { SwitchRootSurvivor } from './switch-root.ts';

/** The patience of whoever has to wait: with a server as long as that was asked for, until somebody reads; then for ever. */
export class ReadersPatience implements Patience {
  readonly #usual: Patience | undefined;
  readonly #survivor: SwitchRootSurvivor | undefined;
  isEndless = false;

  constructor(usual: Patience | undefined, survivor: SwitchRootSurvivor | undefined) {
    this.#usual = usual;
    this.#survivor = survivor;
  }

  get milliseconds(): number {
    return this.isEndless ? Number.POSITIVE_INFINITY : (this.#usual?.milliseconds ?? 0);
  }

  readonly notify = (text: string, pause: number): void => {
    this.#survivor?.follow();
    this.#usual?.notify(text, pause);
  };
}
