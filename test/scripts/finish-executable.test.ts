import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { blankDevelopmentTools } from '../../scripts/development-tools.ts';
import { programHeaders } from '../../scripts/elf.ts';
import { finishExecutable } from '../../scripts/finish-executable.ts';
import { withoutLocales } from '../../scripts/icu-locales.ts';
import { blankRuntimeBytecode, runtimeBytecodes } from '../../scripts/runtime-bytecode.ts';
import { type Finished, RDPULL, rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;
const CHECKOUT = path.resolve(import.meta.dir, '../..');

const work = new TemporaryDirectory();
/** The same program as Bun has compiled it, and finished as rdpull is. */
const compiled = work.file('compiled');
const done = work.file('finished');

beforeAll(async () => {
  await Bun.build({
    entrypoints: [path.join(import.meta.dir, '../fixtures/no-language.ts')],
    target: 'bun',
    format: 'esm',
    bytecode: true,
    compile: { outfile: compiled },
  });
  fs.copyFileSync(compiled, done);
  finishExecutable(done);
  work.write('image.raw', 'an image\n');
  run(['sh', '-c', 'sha256sum image.raw > SHA256SUMS'], { cwd: work.path });
  said = await Promise.all(ASKED.map((args) => rdpull(args)));
});
afterAll(() => work[Symbol.dispose]());

const LOCALES: readonly Readonly<Record<string, string>>[] = [
  {},
  { LANG: 'C' },
  { LANG: 'C.UTF-8' },
  { LANG: 'en_US.UTF-8' },
  { LANG: 'de_DE.UTF-8', LC_ALL: '' },
  { LC_ALL: 'ja_JP.eucJP' },
  { LANG: 'en_GB', LC_ALL: 'tr_TR.UTF-8', TZ: 'Europe/Istanbul' },
  { LC_ALL: 'ar_EG.UTF-8', LANGUAGE: 'ar:fr', TZ: 'Asia/Kathmandu' },
  { LANG: 'xx_YY@nothing', LC_CTYPE: 'POSIX', TZ: 'Nowhere/At_all' },
];

describe.each(LOCALES.map((env) => ({ env, name: JSON.stringify(env) })))('with $name', ({ env }) => {
  test('what belongs to no language is as Bun has it, and what belongs to one is answered', async () => {
    const [before, after] = await Promise.all(
      [compiled, done].map((executable) => rdpull([], { executable, env })),
    );
    expect(before?.stderr).toBe('');
    expect(before?.stdout).toContain('xn--bcher-kva.example');
    expect(after).toEqual(before);
  });

  test('rdpull itself works, and says the same', async () => {
    expect(await Promise.all(ASKED.map((args) => rdpull(args, { env })))).toEqual(said);
  });
});

/** What sorts, matches classes of characters, reads and writes dates, and finds the host of a URL. */
const ASKED = [
  ['--help'],
  ['pull', '--json', '--verify=no', '--patience=0', 'http://127.0.0.1:9/ein%20Bild.raw'],
  ['pull', 'http://bücher.example/\u200fß.raw'],
  ['verify', '--verify=checksum', '--json', work.file('image.raw')],
];
let said: Finished[];

describe('the bytecode of the modules of the runtime', () => {
  const isBlank = (bytes: Buffer) => bytes.every((byte) => byte === 0);
  const ofModule = (file: string, name: string) =>
    runtimeBytecodes(fs.readFileSync(file)).find((each) => each.name === name)?.bytes ?? Buffer.alloc(0);

  test('is left out where no boot loads them', () => {
    expect(isBlank(ofModule(compiled, 'node:readline'))).toBe(false);
    expect(isBlank(ofModule(done, 'node:readline'))).toBe(true);
    expect(isBlank(ofModule(RDPULL, 'node:_http_server'))).toBe(true);
  });

  test('is what the generator, a pull and its worker start with', () => {
    for (const name of ['node:fs', 'node:os', 'node:path', 'node:net', 'node:tls', 'node:worker_threads']) {
      const bytes = ofModule(RDPULL, name);
      expect({ name, isThere: bytes.length > 0 && !isBlank(bytes) }).toEqual({ name, isThere: true });
    }
  });

  test('need not be there: the program of this test loads three of those without', async () => {
    const { stdout } = await rdpull([], { executable: done });
    expect(JSON.parse(stdout)).toHaveProperty('always.modules', [
      'http://[::1]:80/?a=b',
      ['GET', 'POST'],
      'function',
    ]);
  });
});

describe('the build fails', () => {
  const changed = (replaced: string, by: string) => {
    const file = fs.readFileSync(compiled);
    for (let at = file.indexOf(replaced, 0, 'latin1'); at >= 0; at = file.indexOf(replaced, at + 1, 'latin1'))
      file.write(by, at, 'latin1');
    return file;
  };

  test('when the runtime has another ICU', () => {
    expect(() => withoutLocales(changed('icudt78l/', 'icudt79l/'))).toThrow(
      /^the runtime \(Bun [\d.]+\) has another ICU than icudt78l\/ as it was: icudt79l\//,
    );
    expect(() => withoutLocales(changed('CmnD', 'ToCP'))).toThrow(/as it was: not one package\./);
  });

  test('when what it has compressed is something else', () => {
    expect(() => blankDevelopmentTools(fs.readFileSync(done))).toThrow(
      /^the runtime \(Bun [\d.]+\) has 0 bytes of compressed constants, and not \d+: /,
    );
  });

  test('when the runtime keeps the bytecode of its modules in another way', () => {
    const wrong = (replaced: string, by: string) => () => blankRuntimeBytecode(changed(replaced, by));
    expect(wrong('bun:bake\0', 'bun:cake\0')).toThrow(
      /^the runtime \(Bun [\d.]+\) keeps the bytecode of its modules in another way: no list of its modules\./,
    );
    expect(wrong('node:readline\0', 'node:readlime\0')).toThrow(/: it has no module node:readline\./);
    expect(wrong('---- Bun! ----', '---- Bum! ----')).toThrow(/: no program at its end\./);
    expect(wrong('\x26\xed\xf0\xf1\x03', '\x26\xed\xf0\xf1\x04')).toThrow(/: no bytecode of node:\w+\./);
  });

  test('and leaves nothing that is not finished: it would be a shell for whoever sets BUN_BE_BUN', () => {
    const copy = work.file('copy');
    fs.copyFileSync(done, copy);
    expect(() => finishExecutable(copy)).toThrow();
    expect(fs.existsSync(copy)).toBe(false);
  });
});

test('what is cut out is in no segment, and the others are where they were in memory', () => {
  const [before, after] = [compiled, done].map((file) => programHeaders(fs.readFileSync(file)));
  const places = (headers: typeof before) =>
    headers?.map(({ virtualAddress, memorySize }) => [virtualAddress, virtualAddress + memorySize]) ?? [];
  const [all, left] = [places(before), places(after)];
  expect(
    left.filter(
      ([begin, end]) => !all.some(([from = 0, to = 0]) => from <= (begin ?? 0) && (end ?? 0) <= to),
    ),
  ).toEqual([]);
});

/** What an upgrade of the runtime may not go beyond: look at what it brings (scripts/size) before these numbers are changed. */
describe('the executable is', () => {
  test('at most 106 MiB large, which is what it takes of the memory of an initrd', () => {
    expect(fs.statSync(RDPULL).size).toBeLessThanOrEqual(106 * MIB);
  });

  // scripts/build has packed it already, and nothing is packed twice; where it has not, level 19 takes a minute.
  test('at most 43.5 MiB packed at level 3 of zstd, and 34.7 at 19', () => {
    const printed = run(['scripts/size'], { cwd: CHECKOUT }).toString();
    const size = (level: number) =>
      Number(new RegExp(`^zstd -${level}: adds ([\\d.]+) MiB`, 'm').exec(printed)?.[1]);
    expect(size(3)).toBeLessThanOrEqual(43.5);
    expect(size(19)).toBeLessThanOrEqual(34.7);
  }, 300_000);
});

test('two builds of the same sources in two directories are the same, byte for byte', () => {
  const [first, second] = [work.file('first'), work.file('another-place')];
  fs.mkdirSync(path.join(first, 'dist'), { recursive: true });
  for (const part of ['src', 'scripts', 'units', 'package.json', 'tsconfig.json', 'dist/libraries']) {
    fs.cpSync(path.join(CHECKOUT, part), path.join(first, part), { recursive: true });
  }
  // No link to the directory: its target would be one place for both.
  run(['cp', '--archive', '--link', path.join(CHECKOUT, 'node_modules'), first]);
  const build = (directory: string) => {
    const env = { PATH: process.env['PATH'], SOURCE_DATE_EPOCH: '1795900000' };
    run(['node_modules/.bin/bun', 'scripts/compile.ts'], { cwd: directory, env });
    const built = fs.readFileSync(path.join(directory, 'dist/rdpull'));
    for (const made of ['rdpull', 'sources'])
      fs.rmSync(path.join(directory, 'dist', made), { recursive: true });
    return built;
  };
  const built = build(first);
  fs.renameSync(first, second);
  expect(built.equals(build(second))).toBe(true);
}, 300_000);
