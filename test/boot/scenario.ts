import type { Lab } from './lab.ts';

/** Something that has to go as expected when a machine boots. */
export interface Scenario {
  readonly name: string;
  /** What is proven, in a line. */
  readonly title: string;
  /** Whether it belongs to the subset that scripts/test runs. */
  readonly core?: true;
  /** Whether it measures times: no other machine runs beside it. */
  readonly alone?: true;
  /** Throws when something is not as it should be. */
  run(lab: Lab): Promise<void>;
}
