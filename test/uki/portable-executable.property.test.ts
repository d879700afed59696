import { test } from 'bun:test';
import { readExecutable } from '../../src/uki/portable-executable.ts';
import { always, mutatedBytes, unlessRefused } from '../fixtures/property.ts';

/** The head of an executable with two sections: what a linker would write, and nothing else. */
function executable(): Buffer {
  const bytes = Buffer.alloc(0x400);
  bytes.write('MZ', 0);
  bytes.writeUInt32LE(0x80, 0x3c);
  bytes.write('PE\0\0', 0x80);
  bytes.writeUInt16LE(0x8664, 0x84);
  bytes.writeUInt16LE(2, 0x86);
  bytes.writeUInt16LE(16, 0x94);
  bytes.writeUInt16LE(0x20b, 0x98);
  for (const [at, name, offset] of [
    [0xa8, '.cmdline', 0x200],
    [0xd0, '.uname', 0x300],
  ] as const) {
    bytes.write(name, at);
    bytes.writeUInt32LE(10, at + 8);
    bytes.writeUInt32LE(0x100, at + 16);
    bytes.writeUInt32LE(offset, at + 20);
  }
  return bytes;
}

test('whatever the headers say, no section reaches out of the file', () => {
  always(mutatedBytes([executable()]), (bytes) => {
    const read = (offset: number, length: number) => {
      if (offset < 0 || length < 0 || offset + length > bytes.length) throw new Error('read out of the file');
      return bytes.subarray(offset, offset + length);
    };
    const executable = unlessRefused(() => readExecutable(read, bytes.length));
    for (const { offset, size } of executable?.sections ?? []) if (size > 0) read(offset, size);
  });
});
