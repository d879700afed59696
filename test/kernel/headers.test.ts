import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { ARCHITECTURES, NATIVE } from '../../scripts/architecture.ts';
import { inHeaders } from '../fixtures/c-headers.ts';

const SOURCE = path.resolve(import.meta.dir, '../../src');

/** Where calls into the kernel are prepared. */
const FILES = [
  ...fs.globSync('kernel/*.ts', { cwd: SOURCE }),
  'initramfs/old-root.ts',
  'on-demand/fuse/protocol.ts',
  'on-demand/fuse/respond.ts',
];

/** What C calls a constant, where it has another name or is an offset in a structure. */
const IN_C: Readonly<Record<string, string>> = {
  ARGUMENT_SIZE: 'sizeof(struct blkpg_ioctl_arg)',
  PARTITION_SIZE: 'sizeof(struct blkpg_partition)',
  D_RECLEN: 'offsetof(struct dirent64, d_reclen)',
  D_TYPE: 'offsetof(struct dirent64, d_type)',
  D_NAME: 'offsetof(struct dirent64, d_name)',
  OPEN_HOW_MODE: 'offsetof(struct open_how, mode)',
  OPEN_HOW_RESOLVE: 'offsetof(struct open_how, resolve)',
  STX_MODE: 'offsetof(struct statx, stx_mode)',
  STX_NLINK: 'offsetof(struct statx, stx_nlink)',
  STX_BLOCKS: 'offsetof(struct statx, stx_blocks)',
  SUN_PATH_OFFSET: 'offsetof(struct sockaddr_un, sun_path)',
  UNIX_PATH_MAX: 'sizeof(((struct sockaddr_un *)0)->sun_path)',
  WINSIZE_LENGTH: 'sizeof(struct winsize) / 2',
  WINSIZE_COLUMNS: 'offsetof(struct winsize, ws_col) / 2',
  NULL_DEVICE: '(MEM_MAJOR << 8) | 3', // linux/major.h; the minors are in Documentation/admin-guide/devices.txt
  MNT_DETACH: '2', // glibc's sys/mount.h, which Linux's own header does not go together with
  'INFO.size': 'sizeof(struct loop_info64)',
  'CONFIG.size': 'sizeof(struct loop_config)',
  'COMMAND.size': 'sizeof(struct nvme_passthru_cmd)',
};

/** Whose offsets a table has. */
const STRUCTURES: Readonly<Record<string, string>> = {
  INFO: 'loop_info64',
  CONFIG: 'loop_config',
  COMMAND: 'nvme_passthru_cmd',
};

/** Of rdpull, and of no header. */
const OWN = new Set([
  ...[
    'ENTRIES_SIZE',
    'FUSE_DEVICE',
    'FUSE_KERNEL_MINOR_VERSION',
    'INTERVAL',
    'LEVELS',
    'MAPPED_BYTES',
    'PAGE_BYTES',
  ],
  ...['SECTOR', 'SEND_TIMEOUT'],
  ...['CHUNK_BYTES', 'PAUSE', 'PIPE_PATIENCE'],
  ...['ANSWER_MAX', 'COMMAND_PATIENCE', 'TURN_PATIENCE', 'RECORD_MAX', 'RECORDS_MAX'],
]);

/** What the sources have as numbers between lines, with what C has. */
const LAYOUTS: Readonly<Record<string, number>> = {
  'sizeof(long)': 8,
  'sizeof(struct open_how)': 24,
  'sizeof(struct statx)': 256,
  'sizeof(struct timespec)': 16,
  'offsetof(struct timespec, tv_nsec)': 8,
  'sizeof(struct timeval)': 16,
  'sizeof(struct pollfd)': 8,
  'offsetof(struct pollfd, events)': 4,
  'offsetof(struct pollfd, revents)': 6,
  'sizeof(struct iovec)': 16,
  'offsetof(struct iovec, iov_len)': 8,
  'offsetof(struct blkpg_ioctl_arg, datalen)': 8,
  'offsetof(struct blkpg_ioctl_arg, data)': 16,
  'offsetof(struct blkpg_partition, length)': 8,
  'offsetof(struct blkpg_partition, pno)': 16,
};

/** The constants of the sources that are numbers, as `NAME` or `TABLE.name`, each with its value. */
function constants(): [string, bigint][] {
  const found: [string, bigint][] = [];
  for (const file of FILES) {
    const text = fs.readFileSync(path.join(SOURCE, file), 'utf8');
    for (const [, name = '', value = ''] of text.matchAll(/^ *(?:export )?const (\w+) = ([-\d(][^;]*);/gm)) {
      if (/^[A-Z]/.test(name) && !OWN.has(name)) found.push([name, numberOf(value)]);
    }
    for (const [, table = '', body = ''] of text.matchAll(/^const ([A-Z]+) = \{([^}]*)\} as const;/gm)) {
      for (const [, name = '', value = ''] of body.matchAll(/(\w+): (\d+)/g))
        found.push([`${table}.${name}`, BigInt(value)]);
    }
  }
  return found;
}

/** Of a number, or of `1 << 22`. */
function numberOf(text: string): bigint {
  const [number = '', shift = '0'] = text.replaceAll(/[_n]/g, '').split(' << ');
  const isNegative = number.startsWith('-');
  return (BigInt(isNegative ? number.slice(1) : number) * (isNegative ? -1n : 1n)) << BigInt(shift);
}

function inC(name: string): string {
  const [table, field] = name.split('.');
  const struct = STRUCTURES[table ?? ''] ?? '';
  return IN_C[name] ?? (field === undefined ? name : `offsetof(struct ${struct}, ${field})`);
}

describe.each(ARCHITECTURES)('on %s', (architecture) => {
  test('every constant and every offset is what its header says', () => {
    const here = constants();
    expect(here.length).toBeGreaterThan(100);
    const values = inHeaders(
      here.map(([name]) => inC(name)),
      architecture,
    );
    expect(here.map(([name], index) => [name, values[index]])).toEqual(here);
  });

  test('every structure is as large as it is taken to be', () => {
    const names = Object.keys(LAYOUTS);
    const values = inHeaders(names, architecture);
    expect(Object.fromEntries(names.map((name, index) => [name, Number(values[index])]))).toEqual(LAYOUTS);
  });

  // These do differ. They are not written down here, but taken from the runtime, which knows for what it was built.
  test('the flags of open(2) that are not the same everywhere', () => {
    const names = ['O_DIRECTORY', 'O_NOFOLLOW', 'O_DIRECT'];
    const expected =
      architecture === 'arm64' ? [0o40000n, 0o100000n, 0o200000n] : [0o200000n, 0o400000n, 0o40000n];
    expect(inHeaders(names, architecture)).toEqual(expected);
  });

  test('the number of a system call that is not the same everywhere', () => {
    expect(inHeaders(['SYS_finit_module'], architecture)).toEqual([architecture === 'arm64' ? 273n : 313n]);
  });
});

test('what the runtime calls the flags of open(2), the errors and the kinds of files is what the headers of this machine say', () => {
  const names = Object.keys(fs.constants).filter((name) =>
    /^(?:O_(?!SYMLINK|BINARY)|S_I|[RWXF]_OK)/.test(name),
  );
  const known: Readonly<Record<string, number>> = { ...fs.constants };
  // glibc hides that its files may be large on 64-bit machines.
  const values = inHeaders(names, NATIVE);
  expect(Object.fromEntries(names.map((name, index) => [name, Number(values[index])]))).toEqual(
    Object.fromEntries(names.map((name) => [name, known[name] ?? Number.NaN])),
  );
});
