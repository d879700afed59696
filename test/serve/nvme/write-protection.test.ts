import { afterEach, beforeEach, expect, test } from 'bun:test';
import net from 'node:net';
import { writeProtect } from '../../../src/serve/nvme/write-protection.ts';

/**
 * What is sent, byte by byte, and what answers that are none come to. The kernel's own target is asked in virtual machines:
 * test/boot/scenarios/nvme-serve.ts.
 */
const NQN = 'nqn.2026-11.internal.rdpull:0123456789abcdef0123456789abcdef.image.raw';

/** What came, one PDU after the other, and how each is answered: undefined ends the connection. */
let received: Buffer[];
let answer: (pdu: Buffer) => Buffer | undefined;
let server: net.Server;
let closed: Promise<void>;

const ready = () => response(1, 128);
const done = () => response(5, 24);

function response(type: number, length: number, status = 0): Buffer {
  const pdu = Buffer.alloc(length);
  pdu.writeUInt8(type, 0);
  pdu.writeUInt8(length, 2);
  pdu.writeUInt32LE(length, 4);
  if (status !== 0) pdu.writeUInt16LE(status << 1, length - 2);
  return pdu;
}

beforeEach(async () => {
  received = [];
  answer = (pdu) => (pdu[0] === 0 ? ready() : done());
  const ended = Promise.withResolvers<void>();
  closed = ended.promise;
  server = net.createServer((socket) => {
    let bytes: Buffer = Buffer.alloc(0);
    socket.on('close', () => ended.resolve());
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (let length = 0; bytes.length >= 8; bytes = bytes.subarray(length)) {
        length = bytes.readUInt32LE(4);
        if (bytes.length < length) return;
        received.push(bytes.subarray(0, length));
        const sent = answer(bytes.subarray(0, length));
        if (sent === undefined) {
          socket.destroy();
          return;
        }
        // As a network may do it.
        socket.write(sent.subarray(0, 5));
        setTimeout(() => socket.write(sent.subarray(5)), 5);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => server.close());

function protect(): Promise<void> {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return writeProtect(NQN, 1, { address: '0.0.0.0', port: address.port });
}

test('it connects to the subsystem, enables the controller, sets the feature, and goes', async () => {
  await protect();
  await closed;
  const [initialisation, connect, enable, feature] = received;
  expect(received).toHaveLength(4);
  expect(initialisation?.toString('hex')).toBe(`0000800080000000${'0'.repeat(240)}`);
  // NVMe over TCP transport 1.0, figures 26 and 11; base specification 2.0, figures 386 to 389
  expect(connect?.subarray(0, 56).toString('hex')).toBe(
    '0400484848040000' +
      '7f40000001000000000000000000000000000000000000000000000000000000' +
      '0004000000000001' +
      '000000001f000000',
  );
  const data = connect?.subarray(72) ?? Buffer.alloc(0);
  const nameAt = (at: number) => data.toString('latin1', at, data.indexOf(0, at));
  expect(data).toHaveLength(1024);
  expect(data.readUInt16LE(16)).toBe(0xffff);
  expect(nameAt(256)).toBe(NQN);
  expect(nameAt(512)).toMatch(/^nqn\.2014-08\.org\.nvmexpress:uuid:[0-9a-f-]{36}$/);
  expect(nameAt(512).slice(-36).replaceAll('-', '')).toBe(data.toString('hex', 0, 16));
  expect(enable?.subarray(8, 13).toString('hex')).toBe('7f40000000');
  expect(enable?.subarray(52, 64).toString('hex')).toBe('140000000100460000000000');
  expect(feature?.subarray(8, 16).toString('hex')).toBe('0940000001000000');
  expect(feature?.subarray(48, 56).toString('hex')).toBe('8400000001000000');
});

test('what the target refuses is an error with its status', async () => {
  answer = (pdu) => (pdu[0] === 0 ? ready() : response(5, 24, pdu[8] === 9 ? 0x4002 : 0));
  await expect(protect()).rejects.toThrow('status 0x4002');
  await closed;
});

test.each<[string, () => Buffer | undefined, string]>([
  ['ends the connection', () => undefined, 'the connection has ended'],
  ['speaks something else', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'a PDU of type 72'],
  ['promises more than there is', () => response(1, 128).fill(0xff, 4, 8), 'a PDU of type 1'],
])('somebody who %s is an error', async (_, answered, message) => {
  answer = answered;
  await expect(protect()).rejects.toThrow(message);
  await closed;
});

test('where nobody listens, it is an error', async () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await new Promise((resolve) => server.close(resolve));
  await expect(writeProtect(NQN, 1, { address: '127.0.0.1', port: address.port })).rejects.toThrow(
    'ECONNREFUSED',
  );
});
