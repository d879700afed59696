import { describe, expect, test } from 'bun:test';
import { RdpullError, reasonOf } from '../../src/console/rdpull-error.ts';

/** As node:fs throws it. */
const failed = (code: string) => Object.assign(new Error(`${code}: open '/x'`), { code });

describe('what failed for want of descriptors is told as that', () => {
  test.each([
    ['EMFILE', 'this process may have no more files open (EMFILE)', /ulimit -n .*LimitNOFILE=/],
    ['ENFILE', 'this machine may have no more files open (ENFILE)', /file-max.*lsof/],
  ])('%s, however deep it lies', (code, reason, hint) => {
    const outer = new RdpullError('file-unreadable', '/x cannot be read', 'check its permissions', {
      cause: failed(code),
    });
    for (const error of [outer, new Error('no key', { cause: outer }), failed(code)]) {
      expect(RdpullError.from(error)).toMatchObject({
        code: 'descriptors-exhausted',
        message: `${error.message}; ${reason}`,
        hint: expect.stringMatching(hint),
      });
    }
  });

  test('once, and nothing else is', () => {
    const told = RdpullError.from(failed('ENFILE'));
    expect(RdpullError.from(told)).toBe(told);
    const other = new RdpullError('file-unreadable', '/x', 'y', { cause: failed('ENOENT') });
    expect(RdpullError.from(other)).toBe(other);
    expect(RdpullError.from(failed('ENOENT')).code).toBe('internal');
  });
});

test('a reason is fit for a terminal, whatever it names', () => {
  expect(reasonOf(new Error(`EACCES: open '/x\x1b[2J\n${'y'.repeat(1000)}'`))).toBe(
    `EACCES: open '/x\\x1b[2J\\x0a${'y'.repeat(1000)}'`,
  );
});
