import { describe, expect, test } from 'bun:test';
import { classifyBlock } from '../../../../src/decode/tar-block.ts';
import { parseHeader } from '../../../../src/transfer/sink/tar/tar-header.ts';
import { tarHeader } from '../../../fixtures/tar.ts';

const at = (offset: number, ...bytes: number[]) => [[offset, Buffer.from(bytes)]] as const;
const text = (offset: number, value: string) => [[offset, Buffer.from(value, 'latin1')]] as const;

describe('the checksum', () => {
  test('tells a header from zeros and from anything else', () => {
    expect(classifyBlock(tarHeader({ name: 'x' }))).toBe('header');
    expect(classifyBlock(Buffer.alloc(512))).toBe('zeros');
    expect(classifyBlock(Buffer.alloc(512, 'x'))).toBe('not-a-header');
    const damaged = tarHeader({ name: 'x' });
    damaged[0] = 0x79;
    expect(classifyBlock(damaged)).toBe('not-a-header');
  });

  test('may be as large as a block allows', () => {
    const block = Buffer.alloc(512, 0xff);
    const sum = 504 * 0xff + 8 * 0x20;
    block.write(`${sum.toString(8)}\0 `, 148, 'latin1');
    expect(classifyBlock(block)).toBe('header');
    block[511] = 0xfe;
    expect(classifyBlock(block)).toBe('not-a-header');
  });

  test('may be a sum of signed bytes, as old Sun tars made it', () => {
    const block = tarHeader({ name: Buffer.from('gr\xfc\xdfe', 'latin1') });
    const sum = Number.parseInt(block.toString('latin1', 148, 154), 8) - 2 * 256;
    block.write(sum.toString(8).padStart(6, '0'), 148);
    expect(classifyBlock(block)).toBe('header');
  });

  test('has to be there, also where the sum of signed bytes is 0', () => {
    const block = Buffer.alloc(512);
    // The blank field counts as eight spaces: 256.
    block.set([0x80, 0x80], 20);
    expect(classifyBlock(block)).toBe('not-a-header');
    block.fill(' ', 148, 156);
    expect(classifyBlock(block)).toBe('not-a-header');
  });

  test('may be written in any of the ways tars pad it', () => {
    for (const pad of [(s: string) => `${s}\0 `, (s: string) => ` ${s}\0`, (s: string) => `${s} \0`]) {
      const block = tarHeader({ name: 'x' });
      const sum = block.toString('latin1', 148, 154);
      block.write(pad(sum), 148, 'latin1');
      expect(classifyBlock(block)).toBe('header');
    }
  });
});

describe('numbers', () => {
  const size = (raw: Parameters<typeof tarHeader>[0]['raw']) =>
    parseHeader(tarHeader({ name: 'x', ...(raw && { raw }) })).size;

  test('are octal, padded with zeros, spaces or NULs', () => {
    expect(size(text(124, '00000001750\0'))).toBe(1000);
    expect(size(text(124, '       1750 '))).toBe(1000);
    expect(size(text(124, '\x00      1750\0'))).toBe(1000);
    expect(size(text(124, '777777777777'))).toBe(8 ** 12 - 1);
    expect(size(text(124, '1750\0garbage'))).toBe(1000);
    expect(size(text(124, '            '))).toBe(0);
    expect(size(at(124, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toBe(0);
  });

  test('are base 256 when they do not fit, also below zero', () => {
    expect(size(at(124, 0x80, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a))).toBe(0x123456789a);
    const before1970 = parseHeader(
      tarHeader({ name: 'x', raw: at(136, ...Array.from({ length: 11 }, () => 0xff), 0xfe) }),
    );
    expect(before1970.mtime).toEqual({ seconds: -2, nanoseconds: 0 });
    const uid = parseHeader(
      tarHeader({ name: 'x', raw: at(108, 0x80, 0, 0, 0, 0xee, 0x6b, 0x28, 0x00) }),
    ).uid;
    expect(uid).toBe(4_000_000_000);
  });

  test('that are none, or beyond 2^53, are refused', () => {
    expect(() => size(text(124, '0000000012x\0'))).toThrow(
      'a header of the tar archive holds a size that is no number',
    );
    expect(() => size(text(124, '00000000018\0'))).toThrow('no number');
    expect(() => size(text(124, '-0000000001\0'))).toThrow('no number');
    expect(() => size(at(124, 0x80, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0))).toThrow('no number');
    expect(() => size(at(124, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toThrow('no number');
  });
});

test('names may fill their fields, and are bytes', () => {
  const header = parseHeader(
    tarHeader({ name: Buffer.from('\xff'.repeat(100), 'latin1'), linkName: 'l'.repeat(100), type: '1' }),
  );
  expect(Buffer.from(header.name).toString('latin1')).toBe('\xff'.repeat(100));
  expect(Buffer.from(header.linkName).toString()).toBe('l'.repeat(100));
});

test('the mode keeps setuid, setgid and sticky, and loses the file type of old tars', () => {
  expect(parseHeader(tarHeader({ name: 'x', mode: 0o107755 })).mode).toBe(0o7755);
});

test('device numbers are only read where there are some', () => {
  const garbage = text(329, 'garbage\0');
  expect(parseHeader(tarHeader({ name: 'x', raw: garbage })).deviceMajor).toBe(0);
  expect(() => parseHeader(tarHeader({ name: 'x', type: '3', raw: garbage }))).toThrow('device number');
  expect(parseHeader(tarHeader({ name: 'x', type: '3', magic: '\0', raw: garbage })).deviceMajor).toBe(0);
});
