/** Loaded before all tests (bunfig.toml): when they have run, nothing of them is left in the directories for temporary files. */
import { afterAll } from 'bun:test';
import { disposeLeftovers } from './fixtures/leftovers.ts';

afterAll(() => {
  for (const place of disposeLeftovers()) console.error(`was not disposed of, but is now: made ${place}`);
});
