import { expect, test } from 'bun:test';
import { checksumMismatch } from '../../src/verify/checksum-mismatch.ts';

const figures = { url: 'http://h/image.raw', bytes: 1234, actual: 'a'.repeat(64), expected: 'b'.repeat(64) };

test('tells both digests, the size and who promised', () => {
  const error = checksumMismatch({ ...figures, manifestUrl: 'http://h/SHA256SUMS' });
  expect(error.code).toBe('checksum-mismatch');
  expect(error.exitStatus).toBe(13);
  expect(error.message).toBe(
    `http://h/image.raw is not what was promised: its 1234 bytes have the SHA-256 ${figures.actual}, but http://h/SHA256SUMS promises ${figures.expected}`,
  );
  expect(error.hint).toBe(
    'try again in case the file was being replaced; else publish file and checksum together, and check who may write to the server',
  );
});

test('tells when the digest came with the request', () => {
  const error = checksumMismatch({ ...figures, manifestUrl: undefined });
  expect(error.message).toEndWith(`but the request asks for ${figures.expected}`);
  expect(error.hint).toBe('check the digest in the request, and who may write to the server');
});
