import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checked, cString, libc } from './libc.ts';
import { isSystemError } from './system-error.ts';

/** finit_module(2): arch/x86/entry/syscalls/syscall_64.tbl and asm-generic/unistd.h. */
const SYS_finit_module = process.arch === 'arm64' ? 273n : 313n;

/** include/uapi/linux/module.h: the kernel decompresses the file itself, since Linux 5.17 with CONFIG_MODULE_DECOMPRESS. */
const MODULE_INIT_COMPRESSED_FILE = 4;

/** Where the kernel says which modprobe(8) it calls itself, and where that is as a rule. */
const MODPROBE_SETTING = '/proc/sys/kernel/modprobe';
const MODPROBES = ['/sbin/modprobe', '/usr/sbin/modprobe'];

const { syscall: finitModule } = libc({
  syscall: { args: ['i64', 'i32', 'ptr', 'i32'], returns: 'i64' },
});

/** What loads modules, and out of which directory. */
export interface ModuleLoader {
  /** The path of modprobe(8); undefined: there is none. */
  readonly modprobe: string | undefined;
  /** `/lib/modules/RELEASE` */
  readonly modules: string;
}

/**
 * Loads a module of the running kernel, after all those that it needs. What is there already, or built into the kernel, stays as it is.
 *
 * modprobe(8) does it where there is one: it knows each compression, and what modprobe.d(5) says: options, what to load as well, and what
 * is not to be loaded, also by its own name, as for `modprobe@.service` and systemd-modules-load. Without one, modules.dep(5) alone counts,
 * and the kernel has to unpack what is compressed.
 *
 * @param name with `-` or `_`, without suffix
 * @returns false when the running kernel has no such module; true also for one that modprobe.d(5) does not let in
 * @throws SystemCallError, Error with what modprobe says
 */
export function loadKernelModule(name: string, loader: ModuleLoader = ownLoader()): boolean {
  const wanted = normal(name);
  if (fs.existsSync(`/sys/module/${wanted}`)) return true;
  return loader.modprobe === undefined
    ? loadFiles(wanted, loader.modules)
    : runModprobe(loader.modprobe, wanted);
}

function ownLoader(): ModuleLoader {
  const named = readText(MODPROBE_SETTING).trim();
  const modprobe = [named, ...MODPROBES].find((file) => file !== '' && fs.existsSync(file));
  return { modprobe, modules: `/lib/modules/${os.release()}` };
}

function runModprobe(modprobe: string, name: string): boolean {
  const { success, stderr } = Bun.spawnSync([modprobe, '-b', name], { stdin: 'ignore', stdout: 'ignore' });
  if (success) return true;
  const said = stderr.toString().trim();
  // Of kmod: "Module x not found in directory /lib/modules/6.1"; of busybox: "module x not found in modules.dep".
  if (/\bmodule \S+ not found\b/i.test(said)) return false;
  throw new Error(said === '' ? `${modprobe} fails` : said.replaceAll('\n', '; '));
}

function loadFiles(wanted: string, modules: string): boolean {
  const files = moduleFiles(readText(`${modules}/modules.dep`), wanted);
  if (files === undefined) {
    return readText(`${modules}/modules.builtin`)
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
  const isCompressed = !file.endsWith('.ko');
  try {
    const flags = isCompressed ? MODULE_INIT_COMPRESSED_FILE : 0;
    checked('finit_module', finitModule(SYS_finit_module, fd, cString(''), flags));
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return;
    if (isCompressed && isSystemError(error, 'EINVAL', 'EOPNOTSUPP')) throw cannotUnpack(file, error);
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

function cannotUnpack(file: string, cause: unknown): Error {
  return new Error(`${file} is compressed, which this kernel does not unpack, and there is no modprobe`, {
    cause,
  });
}

function readText(file: string): string {
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
