import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { openUki } from '../../src/uki/uki.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeUki } from '../fixtures/uki.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

function refusal(path: string): string {
  try {
    using _ = openUki(path);
  } catch (error) {
    if (error instanceof RdpullError && error.code === 'uki-malformed') return error.message;
    throw error;
  }
  return 'no error';
}

test('the sections are those that objdump finds, with their content', () => {
  const uki = makeUki(directory, 'image.efi', [
    ['.cmdline', 'quiet rd.systemd.pull=raw,machine,bootorigin::\n\0'],
    ['.uname', '6.1.0'],
    ['.linux', new Uint8Array(300_000).fill(7)],
  ]);
  using opened = openUki(uki);
  expect(opened.text('.cmdline')).toBe('quiet rd.systemd.pull=raw,machine,bootorigin::');
  expect(opened.text('.uname')).toBe('6.1.0');
  expect(opened.text('.initrd')).toBeUndefined();
  expect(opened.profiles).toBe(0);
  const kernel = opened.chunks('.linux');
  expect(Buffer.concat([...(kernel?.body ?? [])].map((chunk) => Buffer.from(chunk)))).toEqual(
    Buffer.alloc(300_000, 7),
  );
  const [, size = ''] = / \.linux +([0-9a-f]+) /.exec(run(['objdump', '-h', uki]).toString()) ?? [];
  expect(kernel?.size).toBe(Number.parseInt(size, 16));
});

test.each([
  [0x8664, 'x64'],
  [0xaa64, 'arm64'],
  [0x5064, 'riscv64'],
  [0x6264, 'loong64'],
  [0x01c4, undefined], // IMAGE_FILE_MACHINE_ARMNT
] as const)('machine type 0x%x is %s', (machine, architecture) => {
  const uki = makeUki(directory, 'machine.efi', [['.cmdline', 'quiet']]);
  const bytes = fs.readFileSync(uki);
  bytes.writeUInt16LE(machine, bytes.readUInt32LE(0x3c) + 4);
  fs.writeFileSync(uki, bytes);
  using opened = openUki(uki);
  expect(opened.architecture).toBe(architecture);
});

test('of several profiles, the first one takes the place of what stands before it', () => {
  const uki = makeUki(directory, 'profiles.efi', [
    ['.cmdline', 'base'],
    ['.uname', '6.1.0'],
    ['.profile', 'ID=main'],
    ['.cmdline', 'first'],
    ['.profile', 'ID=other'],
    ['.cmdline', 'second'],
    ['.osrel', 'ID=second'],
  ]);
  using opened = openUki(uki);
  expect(opened.profiles).toBe(2);
  expect(opened.text('.cmdline')).toBe('first');
  expect(opened.text('.uname')).toBe('6.1.0');
  expect(opened.text('.osrel')).toBeUndefined();
});

describe('refused is what', () => {
  const good = () => fs.readFileSync(makeUki(directory, 'good.efi', [['.cmdline', 'quiet']]));
  const damaged = (change: (bytes: Buffer, pe: number) => void) => {
    const bytes = good();
    change(bytes, bytes.readUInt32LE(0x3c));
    return directory.write('damaged.efi', bytes);
  };

  test('is empty, or cut', () => {
    expect(refusal(directory.write('empty.efi', ''))).toContain('ends in the middle of its DOS header');
    expect(refusal(directory.write('cut.efi', good().subarray(0, 100)))).toContain('ends in the middle of');
    expect(refusal(directory.write('cut.efi', good().subarray(0, 20_000)))).toContain(
      'behind the end of the file',
    );
  });

  test.each<[string, (bytes: Buffer, pe: number) => void, string]>([
    ['does not begin with MZ', (bytes) => bytes.fill('X', 0, 2), 'does not begin with "MZ"'],
    [
      'has its PE header nowhere',
      (bytes) => bytes.writeUInt32LE(0xfffffff0, 0x3c),
      'in the middle of its PE header',
    ],
    ['has no PE header', (bytes, pe) => bytes.writeUInt32LE(1, pe), 'no PE header'],
    ['has too many sections', (bytes, pe) => bytes.writeUInt16LE(60_000, pe + 6), '60000 sections'],
    ['has no optional header', (bytes, pe) => bytes.writeUInt16LE(0, pe + 20), 'no optional header'],
  ])('%s', (_, change, message) => {
    expect(refusal(damaged(change))).toContain(message);
  });
});
