import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RDPULL, rdpull } from './fixtures/executable.ts';
import { run } from './fixtures/run.ts';
import { TemporaryDirectory } from './fixtures/temporary-directory.ts';

const SOURCE = path.resolve(import.meta.dir, '../src');

/** What takes long to load, or much memory. (bun:ffi takes a tenth of what node:fs does.) */
const HEAVY = /^openpgp|^tar|^node:(?:http|https|net|tls|dgram|dns|zlib|crypto|worker_threads)/;

/** The packages, the folders and the modules of src/ that these modules import, and those that they import; lazily or not. */
function importsOf(modules: readonly string[], options: { readonly lazy: boolean }) {
  const transpiler = new Bun.Transpiler({ loader: 'ts' });
  const files = modules.map((module) => path.join(SOURCE, module));
  const packages = new Set<string>();
  const folders = new Set<string>();
  const seen = new Set<string>();
  for (let file = files.pop(); file !== undefined; file = files.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    if (!file.endsWith('.ts')) continue;
    folders.add(path.relative(SOURCE, path.dirname(file)).split('/')[0] ?? '');
    for (const { path: imported, kind } of transpiler.scanImports(fs.readFileSync(file, 'utf8'))) {
      if (kind === 'dynamic-import' && !options.lazy) continue;
      if (imported.startsWith('.')) files.push(path.resolve(path.dirname(file), imported));
      else packages.add(imported);
    }
  }
  return {
    packages: [...packages].sort(),
    folders: [...folders].sort(),
    modules: [...seen].map((file) => path.relative(SOURCE, file)),
  };
}

describe('at the start', () => {
  test('the program loads nothing before it is asked for', () => {
    const atOnce = importsOf(['main.ts'], { lazy: false });
    expect(atOnce.packages).toEqual([]);
    expect(atOnce.folders).toEqual(['']);
  });

  test('the generator loads the parser and a few functions of glibc: no module of Node, no HTTP, no OpenPGP', () => {
    const atOnce = importsOf(['commands/generate.ts'], { lazy: false });
    expect(atOnce.packages).toEqual(['bun:ffi', 'fastest-levenshtein']);
    // In src/ itself: what the unit of a pull sets, of runtime-variables.ts.
    expect(atOnce.folders).toEqual(['', 'commands', 'console', 'generator', 'kernel', 'request']);
    // For bootorigin, which looks at the variables of EFI.
    const { packages, folders } = importsOf(['commands/generate.ts'], { lazy: true });
    expect(packages).toEqual(['bun:ffi', 'fastest-levenshtein', 'node:fs', 'node:path']);
    expect(folders).toEqual(['', 'commands', 'console', 'generator', 'kernel', 'origin', 'request']);
  });

  test('no command is loaded for the sake of the version alone', () => {
    const { packages } = importsOf(['commands/run-command-line.ts'], { lazy: false });
    expect(packages).toEqual(['fastest-levenshtein', 'node:fs']);
  });

  test('a pull from a file needs no sockets', () => {
    const { packages } = importsOf(
      [
        'commands/run-command-line.ts',
        'commands/commands.ts',
        'transfer/transfer.ts',
        'source/server-login.ts',
      ],
      { lazy: false },
    );
    expect(packages.filter((name) => /^node:(?:net|dns)|^undici/.test(name))).toEqual([]);
  });

  test('no command loads anything heavy before its options are checked', () => {
    const { packages } = importsOf(['commands/run-command-line.ts', 'commands/commands.ts'], {
      lazy: false,
    });
    expect(packages.filter((name) => HEAVY.test(name))).toEqual([]);
    expect(packages).not.toEqual([]);
  });

  test('no pull, and not its thread, loads a module of the runtime that the runtime can do without', () => {
    // Each is parsed anew in each thread: together they were a fifth of a pull of 1 KiB.
    const avoidable = /^node:(?:util|events|url|zlib|crypto|assert|stream|timers)/;
    for (const modules of [
      ['commands/run-command-line.ts', 'commands/commands.ts', 'record/recorder.ts'],
      ['transfer/transfer.ts', 'source/open-source.ts', 'source/file.ts', 'source/http.ts'],
      ['transfer/pipeline/worker.ts'],
      ['on-demand/fuse/fuse-file.ts', 'on-demand/fuse/fuse-worker.ts'],
    ]) {
      const { packages } = importsOf(modules, { lazy: false });
      expect(packages.filter((name) => avoidable.test(name))).toEqual([]);
      expect(packages).toContain('node:fs');
    }
  });

  test('no pull, and not its thread, loads the names of errors and signals before something fails', () => {
    const modules = ['commands/run-command-line.ts', 'commands/commands.ts', 'record/recorder.ts'];
    const transfer = ['transfer/transfer.ts', 'source/open-source.ts', 'source/file.ts', 'source/http.ts'];
    const { packages } = importsOf([...modules, ...transfer, 'transfer/pipeline/worker.ts'], { lazy: false });
    expect(packages).not.toContain('node:os');
    expect(packages).toContain('node:net');
  });

  test('the thread that writes an image loads nothing of tarballs, and converts nothing', () => {
    const worker = ['transfer/pipeline/worker.ts'];
    const others = ['transfer/sink/directory-tree.ts', 'transfer/conversion/convert.ts'];
    expect(importsOf(worker, { lazy: true }).modules).toEqual(expect.arrayContaining(others));
    const atOnce = importsOf(worker, { lazy: false }).modules;
    expect(atOnce).toContain('transfer/sink/raw-image.ts');
    expect(atOnce.filter((module) => others.includes(module))).toEqual([]);
  });

  test('http needs sockets and two parts of undici, the real one, and not TLS', () => {
    const plain = importsOf(['source/http.ts'], { lazy: false });
    expect(plain.packages.filter((name) => HEAVY.test(name))).toEqual(['node:net']);
    expect(plain.packages.filter((name) => name.includes('undici'))).toEqual([
      'undici-real/lib/core/symbols.js',
      'undici-real/lib/dispatcher/pool.js',
    ]);
    const both = importsOf(['source/http.ts'], { lazy: true });
    expect(both.packages).toContain('node:tls');
    expect(both.packages).not.toContain('node:http');
  });

  test('what is lazily imported would have been found', () => {
    const { packages } = importsOf(['commands/run-command-line.ts'], { lazy: true });
    expect(packages.filter((name) => HEAVY.test(name))).toContain('node:net');
    expect(packages.filter((name) => HEAVY.test(name))).toContain('openpgp');
  });
});

describe('as a generator', () => {
  const ENVIRONMENT = {
    SYSTEMD_IN_INITRD: '1',
    SYSTEMD_PROC_CMDLINE: 'rd.systemd.pull=raw,machine,blockdev:root:http://h/root.raw.xz',
  };

  test('it is run through the link of that name as by its command', async () => {
    using directory = new TemporaryDirectory();
    const link = directory.file('systemd-import-generator');
    fs.symlinkSync(RDPULL, link);
    const out = (name: string) => {
      fs.mkdirSync(directory.file(name));
      return directory.file(name);
    };
    const linked = await rdpull([out('linked')], { executable: link, env: ENVIRONMENT });
    const called = await rdpull(['generate', out('called')], { env: ENVIRONMENT });
    expect(linked).toEqual({ status: 0, signal: undefined, stdout: '', stderr: '' });
    expect(called).toEqual(linked);
    expect(directory.names('linked')).toContain('rdpull@run-machines-root.raw.service');
    expect(directory.names('linked')).toEqual(directory.names('called'));
  });

  test.each([
    ['no expression', 'quiet'],
    ['one expression', ENVIRONMENT.SYSTEMD_PROC_CMDLINE],
  ])('it needs at most 40 MiB of memory for %s', (_, commandLine) => {
    using directory = new TemporaryDirectory();
    const measured = directory.file('kibibytes');
    run(['time', '-o', measured, '-f', '%M', RDPULL, 'generate', directory.path], {
      env: { PATH: process.env['PATH'], ...ENVIRONMENT, SYSTEMD_PROC_CMDLINE: commandLine },
    });
    const kibibytes = Number(fs.readFileSync(measured, 'utf8'));
    expect(kibibytes).toBeGreaterThan(10 * 1024);
    expect(kibibytes).toBeLessThanOrEqual(40 * 1024);
  });
});
