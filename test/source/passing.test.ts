import { describe, expect, test } from 'bun:test';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { createAttempts } from '../../src/source/attempts.ts';
import { isOthersFailure } from '../../src/source/passing.ts';

const failure = (code: 'internal' | 'descriptors-exhausted' | 'connection-lost' | 'http-not-found') =>
  new RdpullError(code, 'it failed', 'try something');

describe('what is the matter with this process', () => {
  test.each(['internal', 'descriptors-exhausted'] as const)("is nobody else's failure: %s", async (code) => {
    expect(isOthersFailure(failure(code))).toBe(false);
    const asked: string[] = [];
    const attempts = createAttempts([{ url: 'http://one/' }, { url: 'http://two/' }], {
      patience: { milliseconds: 60_000, notify: () => undefined },
      signal: new AbortController().signal,
    });
    const made = attempts.make(async ({ url }) => {
      asked.push(url);
      throw failure(code);
    });
    await expect(made).rejects.toMatchObject({ code });
    expect(asked).toEqual(['http://one/']);
  });

  test('is everything that is no error for users', () => {
    expect(isOthersFailure(new TypeError('x is not a function'))).toBe(false);
    expect(isOthersFailure(failure('connection-lost'))).toBe(true);
    expect(isOthersFailure(failure('http-not-found'))).toBe(true);
  });
});
