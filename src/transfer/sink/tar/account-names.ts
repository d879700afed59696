import fs from 'node:fs';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { fileTypeAt, openFileAt, S_IFREG } from '../../../kernel/directory-tree.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import { COST, type KeptMemory } from './kept-memory.ts';
import { MemberPath } from './member-path.ts';
import type { OpenDirectories } from './open-directories.ts';
import { DEFAULT_TAR_LIMITS } from './tar-limits.ts';

/** passwd(5) and group(5) files beyond this are not read, in bytes. */
const MAX_FILE_SIZE = 4 << 20;

const FILES = { user: 'etc/passwd', group: 'etc/group' } as const;

/**
 * The names in ACLs. Each is kept once, under a number, until the whole archive is there; then they are looked up: in the
 * unpacked tree's own /etc/passwd and /etc/group first, for that is the system they belong to, then in those of the running
 * one, where GNU tar looks. Of these files nothing is kept but the ids of such names.
 */
export class AccountNames {
  readonly #directories: OpenDirectories;
  readonly #kept: KeptMemory;
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #tables = new Map<string, ReadonlyMap<string, number>>();

  constructor(directories: OpenDirectories, kept: KeptMemory) {
    this.#directories = directories;
    this.#kept = kept;
  }

  /**
   * The number of a name from now on.
   *
   * @throws RdpullError `limit-exceeded`
   */
  numberOf(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    this.#kept.take(COST.name + name.length, 'names in ACLs');
    // Of its own: it may be part of a longer text.
    const own = Buffer.from(name, 'latin1').toString('latin1');
    this.#numbers.set(own, this.#names.length);
    return this.#names.push(own) - 1;
  }

  /** The name that has this number. */
  nameOf(number: number): string {
    const name = this.#names[number];
    if (name === undefined) throw new RangeError(`no name has the number ${number}`);
    return name;
  }

  /** @param name its bytes as characters (latin1) */
  idOf(kind: 'user' | 'group', name: string): number | undefined {
    const inTree = this.#table(`tree ${kind}`, () => this.#readInTree(FILES[kind])).get(name);
    return inTree ?? this.#table(`system ${kind}`, () => readInSystem(`/${FILES[kind]}`)).get(name);
  }

  #table(key: string, read: () => string): ReadonlyMap<string, number> {
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const table = this.#idsIn(read());
    this.#tables.set(key, table);
    return table;
  }

  /** The ids of names that were asked for. "name:password:id:…", a line each, in passwd(5) and group(5) alike. */
  #idsIn(text: string): ReadonlyMap<string, number> {
    const ids = new Map<string, number>();
    for (let start = 0; start < text.length; ) {
      const feed = text.indexOf('\n', start);
      const end = feed === -1 ? text.length : feed;
      const colon = text.indexOf(':', start);
      const number = this.#numbers.get(text.slice(start, colon === -1 ? end : colon));
      if (number !== undefined && colon < end) {
        const name = this.nameOf(number);
        const [, , id = ''] = text.slice(start, end).split(':');
        if (/^\d+$/.test(id) && !ids.has(name)) ids.set(name, Number(id));
      }
      start = end + 1;
    }
    return ids;
  }

  /** Only a plain file is opened: an archive may well put a device or a fifo in its place. */
  #readInTree(file: string): string {
    const path = new MemberPath(DEFAULT_TAR_LIMITS);
    path.assign(Buffer.from(file), 'the file');
    try {
      const directory = this.#directories.parentOf(path, 'existing');
      if (fileTypeAt(directory, path.lastName) !== S_IFREG) return '';
      return readAndClose(openFileAt(directory, path.lastName));
    } catch (error) {
      if (error instanceof RdpullError || isSystemError(error, 'ENOENT')) return ''; // or etc is no directory
      throw error;
    }
  }
}

function readInSystem(file: string): string {
  try {
    return readAndClose(fs.openSync(file, 'r'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
}

function readAndClose(fd: number): string {
  try {
    const stat = fs.fstatSync(fd);
    return stat.isFile() && stat.size <= MAX_FILE_SIZE ? fs.readFileSync(fd).toString('latin1') : '';
  } finally {
    fs.closeSync(fd);
  }
}
