import { describe, expect, test } from 'bun:test';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { judgeSignatures, type Verdict } from '../../src/verify/several-signatures.ts';
import type { Signer } from '../../src/verify/signer.ts';

const signerOf = (fingerprint: string): Signer => ({
  by: 'openpgp',
  fingerprint,
  userId: undefined,
  createdAt: undefined,
  validFrom: new Date(0),
  validUntil: undefined,
});
const good = (fingerprint: string): Verdict => ({ kind: 'good', signer: signerOf(fingerprint) });
const mismatch = (text: string): Verdict => ({
  kind: 'mismatch',
  error: new RdpullError('signature-bad', text, 'find out who did it'),
});
const refused = (code: RdpullError['code'], text: string) =>
  new RdpullError(code, text, 'find out who did it');

/** Judges signatures each of which comes to what it is. */
function judge(...outcomes: readonly (Verdict | Error)[]): Promise<Signer> {
  return judgeSignatures(outcomes, 'http://host/SHA256SUMS.gpg', async (outcome) => {
    if (outcome instanceof Error) throw outcome;
    return outcome;
  });
}

describe('the signatures of a file', () => {
  test('hold when one is good, whoever else has signed; the first of the good ones is named', async () => {
    const unknown = refused('signature-unknown-key', 'nobody knows it');
    expect(await judge(unknown, good('A'), refused('signature-weak', 'SHA-1'), good('B'))).toEqual(
      signerOf('A'),
    );
  });

  test('do not hold beside one by somebody trusted over other bytes, before or behind a good one', async () => {
    for (const outcomes of [
      [good('A'), mismatch('other bytes')],
      [mismatch('other bytes'), good('A')],
    ])
      await expect(judge(...outcomes)).rejects.toThrow('other bytes');
  });

  test('are refused for the reason that says most: an unknown co-signer says least', async () => {
    const unknown = refused('signature-unknown-key', 'nobody knows it');
    const expired = refused('signature-key-expired', 'the key is expired');
    await expect(judge(unknown, expired)).rejects.toBe(expired);
    await expect(judge(expired, unknown)).rejects.toBe(expired);
    await expect(judge(unknown)).rejects.toBe(unknown);
  });

  test('an error that is no refusal is not hidden by a good one', async () => {
    await expect(judge(good('A'), new TypeError('a fault of ours'))).rejects.toThrow('a fault of ours');
  });

  test('none at all is no good signature', async () => {
    await expect(judge()).rejects.toThrow('no signature at all');
  });
});
