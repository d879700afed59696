import { expect, test } from 'bun:test';
import { formatVerifyMode, parseVerifyMode, type VerifyMode } from '../../src/request/verify-mode.ts';

const DIGEST = '0123456789abcdef'.repeat(4);

test.each<[string, VerifyMode]>([
  ['no', { kind: 'no' }],
  ['checksum', { kind: 'checksum' }],
  ['signature', { kind: 'signature' }],
  ['yes', { kind: 'signature' }],
  [`sha256:${DIGEST}`, { kind: 'sha256', digest: DIGEST }],
  [`sha256:${DIGEST.toUpperCase()}`, { kind: 'sha256', digest: DIGEST }],
  [DIGEST, { kind: 'sha256', digest: DIGEST }],
])('reads %s, and what it writes of it reads the same', (text, mode) => {
  expect(parseVerifyMode(text)).toEqual(mode);
  expect(parseVerifyMode(formatVerifyMode(mode))).toEqual(mode);
});

test.each([
  '',
  'No',
  'off',
  'sig',
  'sha256',
  'sha256:',
  `sha256:${DIGEST}0`,
  `sha256:${DIGEST.slice(1)}`,
  `sha256:${DIGEST.slice(1)}g`,
  `${DIGEST}\n`,
  ` ${DIGEST}`,
])('does not read %j', (text) => {
  expect(parseVerifyMode(text)).toBeUndefined();
});
