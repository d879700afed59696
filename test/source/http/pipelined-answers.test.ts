import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { createPipelinedAnswers } from '../../../src/source/http/pipelined-answers.ts';
import { always } from '../../fixtures/property.ts';

const MOST = 1000;

/** What is made of answers that come in these chunks. */
function taken(chunks: readonly Buffer[], expected: number) {
  const got: { status: number; body: string; isLast: boolean }[] = [];
  const answers = createPipelinedAnswers(({ status, body, isLast }) =>
    got.push({ status, body: Buffer.from(body).toString('latin1'), isLast }),
  );
  for (let count = 0; count < expected; count++) answers.expect(MOST);
  for (const chunk of chunks) answers.add(chunk);
  return { got, awaited: answers.awaited };
}

/** A text in pieces of these lengths, in turn. */
function pieces(text: string, lengths: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1');
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? 1;
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return chunks;
}

const ANSWERS =
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 5\r\n\r\nfirst' +
  'HTTP/1.1 404 Not Found\r\ncontent-length:0 \r\n\r\n' +
  'HTTP/1.1 200 \r\nContent-Length: 14\r\nConnection: close\r\n\r\n\r\n\r\nthe third\n';

const EXPECTED = [
  { status: 200, body: 'first', isLast: false },
  { status: 404, body: '', isLast: false },
  { status: 200, body: '\r\n\r\nthe third\n', isLast: true },
];

test('answers are the same, however they are divided on the way', () => {
  always(fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 }), (lengths) => {
    expect(taken(pieces(ANSWERS, lengths), 3)).toEqual({ got: EXPECTED, awaited: 0 });
  });
});

const OK = 'HTTP/1.1 200 OK\r\n';

describe('there is no going on behind', () => {
  test.each([
    [
      'an answer that nobody has asked for',
      `${OK}Content-Length: 0\r\n\r\n${OK}`,
      'more comes than was asked for',
    ],
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n', 'it is "SSH-2.0-OpenSSH'],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx', 'it is "HTTP/1.0 200 OK'],
    ['chunks', `${OK}Transfer-Encoding: chunked\r\n\r\n`, 'its end is another one than its length says'],
    [
      'a length and chunks',
      `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
      'its end is another one than its length says',
    ],
    ['two lengths', `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`, 'its Content-Length is 1 and 1'],
    ['no length', `${OK}\r\n`, 'its Content-Length is missing'],
    ['a length that is none', `${OK}Content-Length: +1\r\n\r\n`, 'its Content-Length is +1'],
    [
      'a body that is too long',
      `${OK}Content-Length: 1001\r\n\r\n`,
      'its body is of 1001 bytes, and 1000 are the most',
    ],
    ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n', 'its status is 100'],
    [
      'an answer without a body',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n',
      'its status is 304',
    ],
    ['a folded line', `${OK}X: a\r\n b\r\nContent-Length: 1\r\n\r\n`, 'it is "HTTP/1.1 200 OK'],
    ['a space before a colon', `${OK}Content-Length : 1\r\n\r\n`, 'it is "HTTP/1.1 200 OK'],
    ['a line that ends with LF alone', `${OK}X: a\nContent-Length: 1\r\n\r\n`, 'it is "HTTP/1.1 200 OK'],
    ['a lone CR', `${OK}X: a\rb\r\nContent-Length: 1\r\n\r\n`, 'it is "HTTP/1.1 200 OK'],
    ['a NUL', `${OK}X: \0\r\nContent-Length: 1\r\n\r\n`, 'it is "HTTP/1.1 200 OK'],
    ['a head without end', `${OK}X: ${'x'.repeat(20_000)}`, 'the head is longer than 16384 bytes'],
    ['a long head', `${OK}X: ${'x'.repeat(20_000)}\r\n\r\n`, 'the head is longer than 16384 bytes'],
  ])('%s', (_, text, message) => {
    for (const lengths of [[100_000], [1], [7000]])
      expect(() => taken(pieces(text, lengths), 1)).toThrow(message);
  });

  // 0.3 s for each of them with a pattern that goes back and forth.
  test('a length with thousands of blanks in it, at once', () => {
    const head = `${OK}Content-Length: 1${' '.repeat(16_000)}1\r\n\r\n`;
    const begun = performance.now();
    for (let times = 0; times < 20; times++)
      expect(() => taken([Buffer.from(head)], 1)).toThrow('its Content-Length is 1 ');
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});
