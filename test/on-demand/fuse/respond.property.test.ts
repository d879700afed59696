import { test } from 'bun:test';
import fc from 'fast-check';
import { fileTree } from '../../../src/on-demand/fuse/file-tree.ts';
import { parseRequest } from '../../../src/on-demand/fuse/request.ts';
import { respond } from '../../../src/on-demand/fuse/respond.ts';
import { always } from '../../fixtures/property.ts';
import { kernelMessage, words } from './messages.ts';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const size = fc.integer({ min: 1, max: 2 ** 45 });

/** Whatever it is: one message at most, whole, and with the number of its request; parts lie in the file. */
function requireSound(message: Buffer, fileSize: number): void {
  const response = respond(parseRequest(message), fileTree('/run/machines/root.raw', fileSize));
  if (response.kind === 'part') {
    const { offset, length, unique } = response;
    if (unique !== message.readBigUInt64LE(8)) throw new Error('of another request');
    if (offset < 0 || length <= 0 || offset + length > fileSize) throw new Error('outside of the file');
  }
  if (response.kind !== 'reply') return;
  const { reply } = response;
  if (reply.readUInt32LE(0) !== reply.length) throw new Error('its length is wrong');
  if (reply.readBigUInt64LE(8) !== message.readBigUInt64LE(8)) throw new Error('to another request');
  const error = reply.readInt32LE(4);
  // The kernel takes no others (fuse_dev_do_write).
  if (error > 0 || error <= -512) throw new Error(`error ${error}`);
  if (error !== 0 && reply.length !== 16) throw new Error('an error with a body');
}

test('any bytes are answered soundly, or not at all', () => {
  always(fc.tuple(fc.uint8Array({ maxLength: 200 }), size), ([bytes, fileSize]) => {
    requireSound(Buffer.from(bytes), fileSize);
  });
});

test('any opcode about any node with any body is answered soundly', () => {
  const input = fc.tuple(fc.integer({ min: 0, max: 60 }), u64, u64, fc.uint8Array({ maxLength: 80 }), size);
  always(input, ([opcode, unique, node, body, fileSize]) => {
    requireSound(kernelMessage(opcode, { unique, node, body: Buffer.from(body) }), fileSize);
  });
});

test('a read is of what was asked for, as much of it as lies in the file', () => {
  const input = fc.tuple(
    fc.bigInt({ min: 0n, max: 2n ** 46n }),
    fc.integer({ min: 0, max: 2 ** 20 }),
    size,
    u64,
  );
  always(input, ([offset, length, fileSize, unique]) => {
    const body = words([0, 8], [offset, 8], [length, 4], [0, 4], [0, 8], [0, 8]);
    const request = parseRequest(kernelMessage(15, { unique, node: 4n, body }));
    const response = respond(request, fileTree('/run/machines/root.raw', fileSize));
    const expected = Math.max(0, Math.min(Number(offset) + length, fileSize) - Number(offset));
    const got = response.kind === 'part' ? response.length : 0;
    if (got !== expected) throw new Error(`${got} bytes, not ${expected}`);
    if (response.kind === 'part' && response.offset !== Number(offset)) throw new Error('of another place');
  });
});
