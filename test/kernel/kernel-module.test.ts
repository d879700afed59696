import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { loadKernelModule, type ModuleLoader } from '../../src/kernel/kernel-module.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Modules are loaded in the virtual machines of test/boot: this kernel may have none. */
let modules: TemporaryDirectory;
beforeEach(() => {
  modules = new TemporaryDirectory();
  fs.mkdirSync(modules.file('kernel'));
});
afterEach(() => modules[Symbol.dispose]());

/** What this kernel says of a file that is no module of it, or of any file where nobody may load one. */
const NOT_LOADED = /ENOEXEC|EPERM|EINVAL|ENOSYS/;

describe('without modprobe, a module of the running kernel', () => {
  const load = (name: string) => loadKernelModule(name, { modprobe: undefined, modules: modules.path });

  test('that no list has is not there', () => {
    expect(load('rdpull-test')).toBe(false);
    modules.write('modules.dep', 'kernel/fs/other.ko:\n');
    modules.write('modules.builtin', 'kernel/fs/another.ko\n');
    expect(load('rdpull-test')).toBe(false);
  });

  test('that is built in needs no loading, however its name is spelt', () => {
    modules.write('modules.builtin', 'kernel/fs/another.ko\nkernel/fs/rdpull-test.ko\n');
    expect(load('rdpull-test')).toBe(true);
    expect(load('rdpull_test')).toBe(true);
  });

  test('is read where modules.dep says, after what it needs', () => {
    modules.write(
      'modules.dep',
      'kernel/fs/other.ko:\nkernel/rdpull_test.ko: kernel/second.ko kernel/first.ko\n',
    );
    expect(() => load('rdpull-test')).toThrow('kernel/first.ko');
    for (const each of ['first.ko', 'second.ko', 'rdpull_test.ko'])
      modules.write(`kernel/${each}`, 'no module');
    // Whoever may load modules is told that this is none.
    expect(() => load('rdpull-test')).toThrow(NOT_LOADED);
  });

  test('that is compressed is left to the kernel, and an error says so where it cannot', () => {
    modules.write('modules.dep', 'kernel/rdpull-test.ko.xz:\n');
    modules.write('kernel/rdpull-test.ko.xz', 'no module');
    expect(() => load('rdpull-test')).toThrow(
      /rdpull-test\.ko\.xz is compressed, .* and there is no modprobe|finit_module: (?:ENOEXEC|EPERM|ENOSYS)/,
    );
  });
});

describe('with the modprobe of kmod, a module', () => {
  const RELEASE = '1.2.3';
  let loader: ModuleLoader;
  beforeEach(() => {
    const directory = modules.file('lib/modules', RELEASE);
    fs.mkdirSync(directory, { recursive: true });
    fs.mkdirSync(modules.file('modprobe.d'));
    // Enough for depmod; no kernel takes it.
    const source = modules.write(
      'module.c',
      'static const char info[] __attribute__((section(".modinfo"), used)) = "name=rdpull_test";\n',
    );
    run(['gcc', '-c', source, '-o', `${directory}/rdpull-test.ko`]);
    run(['depmod', '-b', modules.path, RELEASE]);
    const modprobe = modules.write(
      'modprobe',
      `#!/bin/sh\nexec modprobe -d ${modules.path} -S ${RELEASE} -C ${modules.file('modprobe.d')} "$@"\n`,
    );
    fs.chmodSync(modprobe, 0o755);
    loader = { modprobe, modules: modules.path };
  });

  test('that is not there is not there, and modules.dep is not asked', () => {
    modules.write('modules.dep', 'kernel/absent.ko:\n');
    expect(loadKernelModule('absent', loader)).toBe(false);
  });

  test('that the kernel does not take is an error, with what modprobe says', () => {
    expect(() => loadKernelModule('rdpull-test', loader)).toThrow(/could not insert 'rdpull_test': /);
  });

  test('that modprobe.d keeps out by its name is left out', () => {
    modules.write('modprobe.d/rdpull.conf', 'blacklist rdpull-test\n');
    expect(loadKernelModule('rdpull-test', loader)).toBe(true);
  });

  test('that modprobe.d lets nobody load is an error', () => {
    modules.write('modprobe.d/rdpull.conf', 'install rdpull-test /bin/false\n');
    expect(() => loadKernelModule('rdpull-test', loader)).toThrow(/install command '\/bin\/false'.*; /);
  });
});
