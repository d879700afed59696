import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { loadKernelModule } from '../../src/kernel/kernel-module.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Modules are loaded in the virtual machines of test/boot: this kernel may have none. */
let modules: TemporaryDirectory;
beforeEach(() => {
  modules = new TemporaryDirectory();
  fs.mkdirSync(modules.file('kernel'));
});
afterEach(() => modules[Symbol.dispose]());

const load = (name: string) => loadKernelModule(name, modules.path);

describe('a module of the running kernel', () => {
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

  test.each(['rdpull_test.ko', 'rdpull-test.ko.xz'])(
    '%s is read where modules.dep says, after what it needs',
    (file) => {
      modules.write('modules.dep', `kernel/fs/other.ko:\nkernel/${file}: kernel/second.ko kernel/first.ko\n`);
      expect(() => load('rdpull-test')).toThrow('kernel/first.ko');
      for (const each of ['first.ko', 'second.ko', file]) modules.write(`kernel/${each}`, 'no module');
      // Whoever may load modules is told that this is none.
      expect(() => load('rdpull-test')).toThrow(/finit_module: (?:ENOEXEC|EPERM|EINVAL|ENOSYS)/);
    },
  );
});
