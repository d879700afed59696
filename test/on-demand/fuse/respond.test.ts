import { describe, expect, test } from 'bun:test';
import { fileTree } from '../../../src/on-demand/fuse/file-tree.ts';
import { parseRequest } from '../../../src/on-demand/fuse/request.ts';
import { type Response, respond } from '../../../src/on-demand/fuse/respond.ts';
import { kernelMessage, words } from './messages.ts';

const SIZE = 10_000;
const tree = fileTree('/run/machines/root.raw', SIZE);
/** Below the directories /, /run and /run/machines. */
const FILE = 4n;

/** fuse_opcode, include/uapi/linux/fuse.h */
const LOOKUP = 1;
const FORGET = 2;
const GETATTR = 3;
const SETATTR = 4;
const READLINK = 5;
const UNLINK = 10;
const OPEN = 14;
const READ = 15;
const WRITE = 16;
const STATFS = 17;
const RELEASE = 18;
const GETXATTR = 22;
const FLUSH = 25;
const INIT = 26;
const OPENDIR = 27;
const ACCESS = 34;
const INTERRUPT = 36;
const BATCH_FORGET = 42;
const STATX = 52;

function answer(opcode: number, about: Parameters<typeof kernelMessage>[1] = {}): Response {
  return respond(parseRequest(kernelMessage(opcode, about)), tree);
}

/** The error and the body of a whole message, whose header has to be right. */
function replied(response: Response, unique = 2n): { error: number; body: Buffer } {
  if (response.kind !== 'reply') throw new Error(`no reply: ${response.kind}`);
  const { reply } = response;
  expect(reply.readUInt32LE(0)).toBe(reply.length);
  expect(reply.readBigUInt64LE(8)).toBe(unique);
  return { error: reply.readInt32LE(4), body: reply.subarray(16) };
}

function readBody(offset: bigint | number, size: number): Buffer {
  return words([0, 8], [offset, 8], [size, 4], [0, 4], [0, 8], [0, 4], [0, 4]);
}

describe('FUSE_INIT', () => {
  /** What Linux 6.18 sends: 7.45, with flags of its own. */
  const init = (major: number, minor: number, flags: number) =>
    words([major, 4], [minor, 4], [0x20000, 4], [flags, 4], [0, 4], ...Array<[number, 4]>(11).fill([0, 4]));

  test('agrees on 7.36, asynchronous reads, 256 pages and 256 reads at a time', () => {
    const { error, body } = replied(answer(INIT, { node: 0n, body: init(7, 45, 0x73ff_fffb) }));
    expect(error).toBe(0);
    expect(body.length).toBe(64);
    expect([body.readUInt32LE(0), body.readUInt32LE(4)]).toEqual([7, 36]);
    expect(body.readUInt32LE(8)).toBe(0x20000);
    expect(body.readUInt32LE(12)).toBe((1 << 0) | (1 << 15) | (1 << 22));
    expect([body.readUInt16LE(16), body.readUInt16LE(18)]).toEqual([256, 192]);
    expect(body.readUInt32LE(20)).toBe(4096);
    expect(body.readUInt16LE(28)).toBe(256);
  });

  test('asks for nothing that the kernel does not offer', () => {
    const { body } = replied(answer(INIT, { body: init(7, 31, 1 << 22) }));
    expect(body.readUInt32LE(12)).toBe(1 << 22);
  });

  test('tells a later major version its own, and refuses an earlier one', () => {
    expect(replied(answer(INIT, { body: init(8, 0, 0) })).body.readUInt32LE(0)).toBe(7);
    expect(replied(answer(INIT, { body: init(6, 9, 0) })).error).toBe(-71); // EPROTO
  });

  test('takes the shorter message of kernels before 5.17', () => {
    const body = words([7, 4], [31, 4], [4096, 4], [1, 4]);
    expect(replied(answer(INIT, { body })).error).toBe(0);
  });
});

describe('the file and the directories above it', () => {
  test('are found name by name, and nothing else is', () => {
    const lookup = (node: bigint, name: string) =>
      replied(answer(LOOKUP, { node, body: Buffer.from(`${name}\0`) }));
    const run = lookup(1n, 'run').body;
    expect(run.readBigUInt64LE(0)).toBe(2n);
    expect(run.readUInt32LE(40 + 60)).toBe(0o40500);
    expect(lookup(2n, 'machines').body.readBigUInt64LE(0)).toBe(3n);
    const file = lookup(3n, 'root.raw').body;
    expect(file.length).toBe(128);
    expect(file.readBigUInt64LE(0)).toBe(FILE);
    expect(file.readBigUInt64LE(40 + 8)).toBe(BigInt(SIZE));
    expect(file.readUInt32LE(40 + 60)).toBe(0o100400);
    for (const [node, name] of [
      [1n, 'machines'],
      [1n, 'runs'],
      [3n, ''],
      [FILE, 'root.raw'],
      [0n, 'run'],
      [99n, 'run'],
      [2n ** 64n - 1n, 'run'],
    ] as const) {
      expect(lookup(node, name).error).toBe(-2); // ENOENT
    }
  });

  test('have attributes, unknown nodes have none', () => {
    const { body } = replied(answer(GETATTR, { node: FILE, body: Buffer.alloc(16) }));
    expect(body.length).toBe(104);
    expect(body.readBigUInt64LE(16 + 8)).toBe(BigInt(SIZE));
    expect(body.readBigUInt64LE(16 + 16)).toBe(20n);
    expect(replied(answer(GETATTR, { node: 5n })).error).toBe(-2);
    expect(replied(answer(GETATTR, { node: 0n })).error).toBe(-2);
  });

  test('is opened for reading alone, and closed without more messages', () => {
    const open = (node: bigint, flags: number) =>
      replied(answer(OPEN, { node, body: words([flags, 4], [0, 4]) }));
    const { error, body } = open(FILE, 0o100000);
    expect(error).toBe(0);
    expect(body.readUInt32LE(8)).toBe((1 << 1) | (1 << 5));
    expect(open(FILE, 1).error).toBe(-30); // EROFS
    expect(open(FILE, 2).error).toBe(-30);
    expect(open(1n, 0).error).toBe(-21); // EISDIR
    expect(open(77n, 0).error).toBe(-2);
    expect(replied(answer(RELEASE, { node: FILE })).error).toBe(0);
    expect(replied(answer(STATFS)).body.length).toBe(80);
  });
});

describe('FUSE_READ', () => {
  const read = (offset: bigint | number, size: number, node = FILE) =>
    answer(READ, { node, unique: 7n, body: readBody(offset, size) });

  test('is a part of the file, up to its end', () => {
    expect(read(4096, 4096)).toEqual({ kind: 'part', unique: 7n, offset: 4096, length: 4096 });
    expect(read(8192, 4096)).toEqual({ kind: 'part', unique: 7n, offset: 8192, length: SIZE - 8192 });
  });

  test('beyond the end is empty', () => {
    for (const offset of [SIZE, SIZE + 1, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      const { error, body } = replied(read(offset, 4096), 7n);
      expect([error, body.length]).toEqual([0, 0]);
    }
    expect(replied(read(0, 0), 7n).body.length).toBe(0);
  });

  test('of what is no file fails', () => {
    expect(replied(read(0, 10, 1n), 7n).error).toBe(-21);
    expect(replied(read(0, 10, 9n), 7n).error).toBe(-2);
  });
});

test('what is not known is not there, FUSE_FLUSH among it', () => {
  for (const opcode of [SETATTR, READLINK, UNLINK, WRITE, GETXATTR, FLUSH, OPENDIR, ACCESS, STATX, 4096, 0]) {
    expect(replied(answer(opcode, { node: FILE, body: Buffer.alloc(64) })).error).toBe(-38); // ENOSYS
  }
});

test('what wants no answer gets none', () => {
  expect(answer(FORGET, { body: words([1, 8]) })).toEqual({ kind: 'none' });
  expect(answer(BATCH_FORGET, { body: words([0, 4], [0, 4]) })).toEqual({ kind: 'none' });
  expect(answer(INTERRUPT, { unique: 7n, body: words([6, 8]) })).toEqual({
    kind: 'interrupt',
    interrupted: 6n,
  });
  expect(answer(INTERRUPT, { unique: 7n })).toEqual({ kind: 'none' });
});

test('a message that is cut short is an error, if it can be told whose', () => {
  const whole = kernelMessage(READ, { node: FILE, unique: 9n, body: readBody(0, 4096) });
  for (let length = 40; length < whole.length; length++) {
    expect(replied(respond(parseRequest(whole.subarray(0, length)), tree), 9n).error).toBe(-5); // EIO
    const cut = Buffer.from(whole.subarray(0, length));
    cut.writeUInt32LE(length, 0);
    expect(replied(respond(parseRequest(cut), tree), 9n).error).toBe(-5);
  }
  expect(respond(parseRequest(whole.subarray(0, 39)), tree)).toEqual({ kind: 'none' });
  expect(respond(parseRequest(Buffer.alloc(0)), tree)).toEqual({ kind: 'none' });
  const unterminated = kernelMessage(LOOKUP, { unique: 9n, body: Buffer.from('run') });
  expect(replied(respond(parseRequest(unterminated), tree), 9n).error).toBe(-5);
});
