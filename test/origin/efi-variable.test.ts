import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { decodeEfiString, readEfiVariable } from '../../src/origin/efi-variable.ts';
import { refusal, survives } from '../request/refusal.ts';
import { SeededRandom } from '../request/seeded-random.ts';
import { bytes, FakeEfivars } from './efi-image.ts';

const NAME = 'Some-8be4df61-93ca-11d2-aa0d-00e098032b8c';
const MIB = 1024 * 1024;

describe('reading a variable', () => {
  test('yields what follows the attributes', () => {
    using efivars = new FakeEfivars();
    efivars.setRaw(NAME, bytes([0x07, 0, 0, 0], 'payload'));
    expect(readEfiVariable(NAME, efivars.directory)).toEqual(bytes('payload'));
  });

  test('yields nothing where the variable, or all of efivarfs, is missing', () => {
    using efivars = new FakeEfivars();
    expect(readEfiVariable(NAME, efivars.directory)).toBeUndefined();
    expect(readEfiVariable(NAME, `${efivars.directory}/none`)).toBeUndefined();
    efivars.setRaw('file', bytes());
    expect(readEfiVariable(NAME, `${efivars.directory}/file`)).toBeUndefined();
  });

  test('yields nothing where it is not committed (empty file) or has no payload', () => {
    using efivars = new FakeEfivars();
    efivars.setRaw(NAME, bytes());
    expect(readEfiVariable(NAME, efivars.directory)).toBeUndefined();
    efivars.setRaw(NAME, bytes([7, 0, 0, 0]));
    expect(readEfiVariable(NAME, efivars.directory)).toBeUndefined();
  });

  test('refuses one that is too short for its attributes', () => {
    using efivars = new FakeEfivars();
    efivars.setRaw(NAME, bytes([7, 0, 0]));
    expect(refusal(() => readEfiVariable(NAME, efivars.directory)).toRecord()).toEqual({
      code: 'file-unreadable',
      message: `the EFI variable ${efivars.directory}/${NAME} cannot be read: its 3 bytes are too few for the attributes alone`,
      hint: 'write the whole URL into the pull expression instead of bootorigin',
    });
  });

  test('takes 4 MiB of payload and not a byte more', () => {
    using efivars = new FakeEfivars();
    efivars.setRaw(NAME, new Uint8Array(4 + 4 * MIB));
    expect(readEfiVariable(NAME, efivars.directory)).toHaveLength(4 * MIB);
    efivars.setRaw(NAME, new Uint8Array(4 + 4 * MIB + 1));
    expect(refusal(() => readEfiVariable(NAME, efivars.directory)).message).toEndWith(
      'cannot be read: it is longer than 4194304 bytes',
    );
  });

  test('says what the kernel says when it cannot be read', () => {
    using efivars = new FakeEfivars();
    fs.mkdirSync(path.join(efivars.directory, NAME));
    const error = refusal(() => readEfiVariable(NAME, efivars.directory));
    expect(error.code).toBe('file-unreadable');
    expect(error.message).toContain('EISDIR');
  });

  test('repeats a read that a signal interrupts', () => {
    using efivars = new FakeEfivars();
    efivars.set(NAME, bytes('payload'));
    expect(readInterrupted(efivars, '1..7')).toEqual({ stdout: 'payload', interrupted: 7 });
  });

  test('does not rely on the size that the file system tells', () => {
    expect(fs.statSync('/proc/version').size).toBe(0);
    expect(Buffer.from(readEfiVariable('version', '/proc') ?? []).toString()).toBe(
      fs.readFileSync('/proc/version', 'utf8').slice(4),
    );
  });
});

describe('decoding a string', () => {
  test.each<[string, ArrayLike<number>, string]>([
    ['up to the first NUL', bytes('h\0i\0\0\0x\0'), 'hi'],
    ['without a NUL', bytes('h\0i\0'), 'hi'],
    ['without the odd last byte', bytes('h\0i\0x'), 'hi'],
    ['of nothing', [], ''],
    ['of NUL', [0, 0], ''],
    ['beyond the first plane', [0x3d, 0xd8, 0x00, 0xde], '😀'],
    ['without lone surrogates', [0x61, 0, 0x3d, 0xd8, 0x62, 0, 0x00, 0xde, 0x63, 0], 'abc'],
    ['without a lone surrogate at the end', [0x61, 0, 0x3d, 0xd8], 'a'],
  ])('%s', (_, payload, text) => {
    expect(decodeEfiString(Uint8Array.from(payload))).toBe(text);
  });

  test('sees only its own part of a larger buffer', () => {
    expect(decodeEfiString(bytes('x\0h\0i\0y\0').subarray(2, 6))).toBe('hi');
  });

  test('survives 2000 random payloads; the text is well formed', () => {
    const random = new SeededRandom(6);
    for (let round = 0; round < 2000; round++) {
      const text = decodeEfiString(random.bytes(64));
      expect(text.isWellFormed()).toBe(true);
      expect(text).not.toContain('\0');
    }
  });
});

test('survives 2000 random files', () => {
  using efivars = new FakeEfivars();
  const random = new SeededRandom(7);
  for (let round = 0; round < 2000; round++) {
    const content = random.bytes(12);
    efivars.setRaw(NAME, content);
    survives(() =>
      expect(readEfiVariable(NAME, efivars.directory)?.length).toBe(
        content.length > 4 ? content.length - 4 : undefined,
      ),
    );
  }
});

/** Reads the variable in a process whose reads of that file fail with EINTR, `when` strace(1) says so. */
function readInterrupted(efivars: FakeEfivars, when: string): { stdout: string; interrupted: number } {
  const module = path.resolve(import.meta.dir, '../../src/origin/efi-variable.ts');
  const script = `
    import { readEfiVariable } from ${JSON.stringify(module)};
    console.log(Buffer.from(readEfiVariable(process.argv[1], process.argv[2])).toString());`;
  const { stdout, stderr, exitCode } = Bun.spawnSync([
    'strace',
    '-f',
    '-P',
    path.join(efivars.directory, NAME),
    '-e',
    `inject=read,pread64:error=EINTR:when=${when}`,
    process.execPath,
    '--eval',
    script,
    NAME,
    efivars.directory,
  ]);
  expect(exitCode, stderr.toString()).toBe(0);
  return { stdout: stdout.toString().trim(), interrupted: stderr.toString().split('(INJECTED)').length - 1 };
}
