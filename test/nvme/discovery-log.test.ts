import { describe, expect, test } from 'bun:test';
import { ENTRIES_MAX, parseLogEntries, parseLogHead } from '../../src/nvme/discovery-log.ts';
import { always, mutatedBytes, requirePrintable, unlessRefused } from '../fixtures/property.ts';

interface Fields {
  readonly transport?: number;
  readonly family?: number;
  readonly kind?: number;
  readonly nqn?: string;
  readonly address?: string;
  readonly service?: string;
}

/** An entry as drivers/nvme/target/discovery.c of Linux fills it: the texts end with NUL bytes, and with spaces those of others. */
function entry(
  { transport = 3, family = 1, kind = 2, nqn = 'nqn.x:a', address = '10.0.2.15', service = '4420' }: Fields,
  fill = 0,
): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.writeUInt8(transport, 0);
  bytes.writeUInt8(family, 1);
  bytes.writeUInt8(kind, 2);
  const put = (text: string, at: number, size: number) =>
    bytes.fill(fill, at, at + size).write(text, at, 'latin1');
  put(service, 32, 32);
  put(nqn, 256, 256);
  put(address, 512, 256);
  return bytes;
}

function head(entries: bigint, generation = 7n, format = 0): Buffer {
  const bytes = Buffer.alloc(1024);
  bytes.writeBigUInt64LE(generation, 0);
  bytes.writeBigUInt64LE(entries, 8);
  bytes.writeUInt16LE(format, 16);
  return bytes;
}

describe('the log of a discovery controller', () => {
  test('says how many entries there are', () => {
    expect(parseLogHead(head(3n))).toEqual({ generation: 7n, entries: 3 });
  });

  test.each([
    [head(BigInt(ENTRIES_MAX) + 1n), 'lists 257 subsystems, 256 is the limit'],
    [head(2n ** 64n - 1n), 'lists 18446744073709551615 subsystems'],
    [head(1n, 1n, 5), 'has the format 5'],
    [Buffer.alloc(10), 'is too short'],
  ])('a head that cannot be is refused: %#', (bytes, why) => {
    expect(() => parseLogHead(bytes)).toThrow(why);
  });

  test.each([0, 0x20])('subsystems over TCP, filled up with %i', (fill) => {
    const log = Buffer.concat([
      entry({}, fill),
      entry({ family: 2, address: 'fe80::1', service: '8009', nqn: 'nqn.y:b' }, fill),
    ]);
    expect(parseLogEntries(log)).toEqual([
      { nqn: 'nqn.x:a', address: '10.0.2.15', port: 4420 },
      { nqn: 'nqn.y:b', address: 'fe80::1', port: 8009 },
    ]);
  });

  test.each<Fields>([
    { transport: 1 },
    { kind: 1 },
    { kind: 3 },
    { family: 3 },
    { family: 2 },
    { nqn: '' },
    { nqn: 'nqn.x,hostnqn=evil' },
    { nqn: 'nqn.x\x1b[2J' },
    { nqn: 'nqn.../../etc' },
    // To the end of its field, without a NUL byte.
    { nqn: `nqn.x:${'a'.repeat(250)}` },
    { nqn: 'nqn.2014-08.org.nvmexpress.discovery' },
    { address: '10.0.0.1,nqn=x' },
    { address: 'example.com' },
    { service: '0' },
    { service: '4420,x' },
  ])('%o is left out', (fields) => {
    expect(parseLogEntries(entry(fields))).toEqual([]);
  });

  test('a hostile log is refused, or yields nothing that could harm the line of options or a terminal', () => {
    const samples = [
      Buffer.concat([head(2n), entry({}), entry({ family: 2, address: '::1' })]),
      Buffer.concat([head(1n), entry({}, 0x20)]),
    ];
    always(mutatedBytes(samples), (bytes) => {
      const found = unlessRefused(() => {
        const { entries } = parseLogHead(bytes);
        return parseLogEntries(bytes.subarray(1024, 1024 + entries * 1024));
      });
      for (const { nqn, address, port } of found ?? []) {
        requirePrintable(nqn + address);
        if (!/^nqn\.[^,/\s]+$/.test(nqn) || /[,\s]/.test(address) || port < 1 || port > 65_535)
          throw new Error('harmful');
      }
    });
  });
});
