import fs from 'node:fs';
import { RdpullError } from '../../../console/rdpull-error.ts';
import { fileTypeAt, openFileAt, S_IFREG } from '../../../kernel/directory-tree.ts';
import { isSystemError } from '../../../kernel/system-error.ts';
import { MemberPath } from './member-path.ts';
import type { OpenDirectories } from './open-directories.ts';
import { DEFAULT_TAR_LIMITS } from './tar-limits.ts';

/** passwd(5) and group(5) files beyond this are not read, in bytes. */
const MAX_FILE_SIZE = 4 << 20;

const FILES = { user: 'etc/passwd', group: 'etc/group' } as const;

/**
 * Looks up the names in ACLs: in the unpacked tree's own /etc/passwd and /etc/group first, for that is the system
 * they belong to, then in those of the running one, where GNU tar looks.
 */
export class AccountNames {
  readonly #directories: OpenDirectories;
  readonly #tables = new Map<string, ReadonlyMap<string, number>>();

  constructor(directories: OpenDirectories) {
    this.#directories = directories;
  }

  /** @param name its bytes as characters (latin1) */
  idOf(kind: 'user' | 'group', name: string): number | undefined {
    const inTree = this.#table(`tree ${kind}`, () => this.#readInTree(FILES[kind])).get(name);
    return inTree ?? this.#table(`system ${kind}`, () => readInSystem(`/${FILES[kind]}`)).get(name);
  }

  #table(key: string, read: () => string): ReadonlyMap<string, number> {
    const known = this.#tables.get(key);
    if (known !== undefined) return known;
    const table = parseAccounts(read());
    this.#tables.set(key, table);
    return table;
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

/** "name:password:id:…", a line each, in passwd(5) and group(5) alike. */
function parseAccounts(text: string): ReadonlyMap<string, number> {
  const accounts = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [name = '', , id = ''] = line.split(':');
    if (name !== '' && /^\d+$/.test(id) && !accounts.has(name)) accounts.set(name, Number(id));
  }
  return accounts;
}
