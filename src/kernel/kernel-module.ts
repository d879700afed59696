import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checked, cString, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** finit_module(2): arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h. */
const SYS_finit_module = process.arch === 'arm64' ? 273n : 313n;

/** include/uapi/linux/module.h: the kernel decompresses the file itself, since Linux 5.17. */
const MODULE_INIT_COMPRESSED_FILE = 4;

const { syscall: finitModule } = libc({
  syscall: { args: ['i64', 'i32', 'ptr', 'i32'], returns: 'i64' },
});

/**
 * Loads a module of the running kernel, after all those that it needs, as modules.dep(5) says. What is there already, or built into
 * the kernel, stays as it is. Options and aliases of modprobe.d(5) are not looked at.
 *
 * @param name with `-` or `_`, without suffix
 * @returns false when the running kernel has no such module
 * @throws SystemCallError
 */
export function loadKernelModule(name: string, modules = `/lib/modules/${os.release()}`): boolean {
  const wanted = normal(name);
  if (fs.existsSync(`/sys/module/${wanted}`)) return true;
  const files = moduleFiles(readList(`${modules}/modules.dep`), wanted);
  if (files === undefined) {
    return readList(`${modules}/modules.builtin`)
      .split('\n')
      .some((file) => moduleName(file) === wanted);
  }
  for (const file of files) loadFile(path.resolve(modules, file));
  return true;
}

/** The files of a module, in the order in which they are loaded; undefined when modules.dep does not have it. */
function moduleFiles(dependencies: string, wanted: string): string[] | undefined {
  for (const line of dependencies.split('\n')) {
    const [file = '', needed = ''] = line.split(':');
    if (moduleName(file) !== wanted) continue;
    // What stands last is needed by those before it.
    return [file, ...needed.split(' ').filter(Boolean)].reverse();
  }
  return undefined;
}

function loadFile(file: string): void {
  const fd = fs.openSync(file, fs.constants.O_RDONLY);
  try {
    const flags = file.endsWith('.ko') ? 0 : MODULE_INIT_COMPRESSED_FILE;
    checked('finit_module', finitModule(SYS_finit_module, fd, cString(''), flags));
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
  } finally {
    fs.closeSync(fd);
  }
}

function readList(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return '';
    throw error;
  }
}

const moduleName = (file: string) => normal(path.basename(file).replace(/\.ko(?:\.\w+)?$/, ''));

/** The kernel's own spelling. */
const normal = (name: string) => name.replaceAll('-', '_');
