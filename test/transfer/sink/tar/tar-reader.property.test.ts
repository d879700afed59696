import { beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import { KeptMemory } from '../../../../src/transfer/sink/tar/kept-memory.ts';
import { MemberPath } from '../../../../src/transfer/sink/tar/member-path.ts';
import { enterPaxRecord, noPaxAttributes, paxRecords } from '../../../../src/transfer/sink/tar/pax.ts';
import { parseAclText } from '../../../../src/transfer/sink/tar/posix-acl.ts';
import { readSparseMap01, SparseMapReader } from '../../../../src/transfer/sink/tar/sparse-map.ts';
import { parseHeader } from '../../../../src/transfer/sink/tar/tar-header.ts';
import { DEFAULT_TAR_LIMITS } from '../../../../src/transfer/sink/tar/tar-limits.ts';
import type { TarMember } from '../../../../src/transfer/sink/tar/tar-member.ts';
import { TarReader } from '../../../../src/transfer/sink/tar/tar-reader.ts';
import {
  always,
  CASES,
  mutatedBytes,
  mutatedText,
  requirePrintable,
  unlessRefused,
} from '../../../fixtures/property.ts';
import { run } from '../../../fixtures/run.ts';
import {
  paxHeader,
  paxRecord,
  tarArchive,
  tarHeader,
  tarMember,
  withChecksum,
} from '../../../fixtures/tar.ts';
import { TemporaryDirectory } from '../../../fixtures/temporary-directory.ts';

const TYPES: Readonly<Record<TarMember['type'], string>> = {
  file: '0',
  'hard-link': '1',
  'symbolic-link': '2',
  device: '3',
  directory: '5',
  fifo: '6',
};

interface Read {
  readonly members: Record<string, unknown>[];
  readonly warnings: string[];
  /** Undefined when all was read. */
  readonly error: string | undefined;
}

/** All that is read of an archive that comes in chunks; the error too, if it is one that a user may see. */
function readIn(archive: Uint8Array, chunkSize: number): Read {
  const members: Record<string, unknown>[] = [];
  const warnings: string[] = [];
  let data: Buffer[] = [];
  const reader = new TarReader(
    {
      member(member) {
        const { path: name, attributes, type } = member;
        data = [];
        members.push({
          path: Buffer.from(name).toString(),
          type: type === 'device' && member.kind === 'block' ? '4' : TYPES[type],
          mode: attributes.mode,
          uid: attributes.uid,
          gid: attributes.gid,
          mtime: attributes.mtime.seconds,
          target: 'target' in member ? Buffer.from(member.target).toString() : '',
          device: type === 'device' ? [member.major, member.minor] : [0, 0],
          data: '',
        });
      },
      fileData: (some) => void data.push(Buffer.from(some)),
      fileEnd() {
        Object.assign(members.at(-1) ?? {}, { data: Buffer.concat(data).toString('hex') });
      },
    },
    {
      warn: (warning) => void warnings.push(warning),
      limits: DEFAULT_TAR_LIMITS,
      kept: new KeptMemory(),
      isVouchedFor: false,
    },
  );
  let error: string | undefined;
  unlessRefused(() => {
    try {
      for (let at = 0; at < archive.length; at += chunkSize)
        reader.write(archive.subarray(at, at + chunkSize));
      reader.finish();
    } catch (caught) {
      error = caught instanceof RdpullError ? `${caught.code}: ${caught.message}` : 'other';
      throw caught;
    }
  });
  for (const warning of warnings) requirePrintable(warning);
  return { members, warnings, error };
}

describe.each(['ustar', 'gnu', 'pax'])("archives of Python's tarfile, %s", (format) => {
  test('come back', () => {
    const seed = process.env['RDPULL_FUZZ_SEED'] ?? String(Date.now() % 1_000_000);
    const count = Math.ceil(CASES / 3);
    for (let done = 0; done < count; done += 2000) {
      const some = Math.min(2000, count - done);
      const script = path.join(import.meta.dir, '../../../fixtures/random-tars.py');
      const written = run(['python3', script, String(some), format, String(Number(seed) + done)]);
      let at = 0;
      for (let number = 0; number < some; number++) {
        const [length = '', list = ''] = [0, 1].map(() => {
          const end = written.indexOf('\n', at);
          const line = written.toString('utf8', at, end);
          at = end + 1;
          return line;
        });
        const archive = written.subarray(at, at + Number(length));
        at += Number(length);
        const { members, error } = readIn(archive, 700);
        expect({ seed, done, number, members, error }).toEqual({
          seed,
          done,
          number,
          members: JSON.parse(list),
          error: undefined,
        });
      }
    }
  });
});

let samples: Buffer[] = [];

beforeAll(() => {
  using directory = new TemporaryDirectory();
  const tree = directory.file('tree');
  fs.mkdirSync(`${tree}/usr/${'long-name-'.repeat(15)}`, { recursive: true });
  fs.writeFileSync(`${tree}/usr/file`, 'content');
  fs.symlinkSync('usr/file', `${tree}/link`);
  fs.linkSync(`${tree}/usr/file`, `${tree}/hard`);
  run(['setfattr', '-n', 'user.test', '-v', 'value', `${tree}/usr/file`]);
  run(['setfacl', '-m', 'u:1000:rwx', `${tree}/usr/file`]);
  // Data between holes, in more pieces than the header of an old GNU archive has place for.
  const sparse = fs.openSync(`${tree}/sparse`, 'w');
  for (let piece = 0; piece < 26; piece++) fs.writeSync(sparse, 'data', piece * 8192);
  fs.ftruncateSync(sparse, 400_000);
  fs.closeSync(sparse);
  samples = [
    ['--format=gnu', '--sparse'],
    ['--format=pax', '--sparse', '--xattrs', '--acls'],
    ['--format=pax', '--sparse', '--sparse-version=0.1'],
    ['--format=pax', '--sparse', '--sparse-version=0.0'],
    ['--format=v7', '--exclude=long*'],
  ].map((options) => run(['tar', '-cC', tree, '--blocking-factor=1', ...options, '.']));
  samples.push(
    Buffer.concat([
      paxHeader([
        ['path', 'a/b'],
        ['mtime', '-1.5'],
        ['SCHILY.xattr.user.a%3Db', 'x'],
      ]),
      tarArchive(tarMember({ name: 'f' }, 'data')),
    ]),
  );
});

/** Makes the checksums of all blocks right that look like headers, so that what is changed in them is read. */
function checked(archive: Buffer): Buffer {
  for (let at = 0; at + 512 <= archive.length; at += 512) {
    const block = archive.subarray(at, at + 512);
    if (/^(ustar|\0{5})/.test(block.toString('latin1', 257, 262)) && block[0] !== 0) withChecksum(block);
  }
  return archive;
}

describe('any bytes', () => {
  test('are an archive or refused, whatever pieces they come in', () => {
    const archive = fc.tuple(mutatedBytes(samples), fc.boolean());
    always(fc.tuple(archive, fc.integer({ min: 1, max: 2000 })), ([[bytes, fixed], chunkSize]) => {
      const tried = fixed ? checked(bytes) : bytes;
      const whole = readIn(tried, tried.length + 1);
      const pieces = readIn(tried, chunkSize);
      expect(pieces.members).toEqual(whole.members);
      // How far it had come is told by what was taken in, which is one chunk.
      expect(pieces.error?.replace(/\d+ bytes/, '')).toBe(whole.error?.replace(/\d+ bytes/, ''));
      for (const { mode, uid } of whole.members)
        expect(Number(mode) <= 0o7777 && Number(uid) >= 0).toBe(true);
    });
  });

  test('are a header or refused', () => {
    const blocks = [
      tarHeader({ name: 'usr/bin/env', mode: 0o4755, size: 77 }),
      tarHeader({ name: 'dev/null', type: '3', major: 1, minor: 3, magic: 'ustar  \0' }),
    ];
    always(mutatedBytes(blocks), (bytes) => {
      const block = Buffer.alloc(512);
      block.set(bytes.subarray(0, 512));
      const header = unlessRefused(() => parseHeader(block));
      for (const number of [header?.size, header?.uid, header?.mtime.seconds]) {
        if (number !== undefined) expect(Number.isSafeInteger(number)).toBe(true);
      }
    });
  });

  test('are PAX records or refused', () => {
    const keys = [
      'path',
      'mtime',
      'size',
      'SCHILY.xattr.user.x',
      'LIBARCHIVE.xattr.a%20b',
      'GNU.sparse.map',
      'x=y',
    ];
    const value = mutatedText(['123', '-1.000000001', '1,2,3,4', 'YWJj', ''], ['=', '\n', '.', ',', '0'], 3);
    const record = fc.tuple(fc.constantFrom(...keys), value).map(([key, text]) => paxRecord(key, text));
    const body = fc.array(record, { maxLength: 4 }).map((records) => Buffer.concat(records));
    always(
      body.chain((bytes) => mutatedBytes([bytes], 3)),
      (bytes) => {
        unlessRefused(() => {
          const attributes = noPaxAttributes();
          let length = 0;
          for (const [key, content] of paxRecords(bytes)) {
            length += content.length;
            enterPaxRecord(attributes, key, content);
          }
          expect(length).toBeLessThan(bytes.length + 1);
          const { nanoseconds = 0 } = attributes.mtime ?? {};
          expect(nanoseconds >= 0 && nanoseconds < 1e9).toBe(true);
        });
      },
    );
  });

  test('are a map of a sparse file or refused', () => {
    const words = ['\n', ',', '0', '9007199254740993', '-1', ' '];
    always(mutatedText(['0,512,4096,100', '2\n0\n512\n4096\n100\n'], words), (text) => {
      const maps = [
        unlessRefused(() => readSparseMap01(text)),
        unlessRefused(() => {
          const reader = new SparseMapReader();
          const block = Buffer.alloc(512);
          block.write(text);
          return reader.take(block) ? reader.map : undefined;
        }),
      ];
      for (const map of maps) {
        if (map === undefined) continue;
        expect(map.dataSize).toBe(map.lengths.reduce((sum, length) => sum + length, 0));
        expect(map.offsets.every((offset, index) => offset + (map.lengths[index] ?? 0) <= map.end)).toBe(
          true,
        );
      }
    });
  });

  test('are a list of access rights or none', () => {
    const samples = ['user::rwx,user:joe:r-x:1000,mask::rwx,other::---', 'u::rw-\ng::r--\no::r--\n# comment'];
    always(mutatedText(samples, [':', ',', '\n', 'default:', 'user', '4294967295', 'rwx', '#']), (text) => {
      for (const { permissions, who } of parseAclText(Buffer.from(text)) ?? []) {
        expect(permissions >= 0 && permissions <= 7).toBe(true);
        if (typeof who === 'number') expect(who >= 0 && who < 0xffffffff).toBe(true);
      }
    });
  });

  test('are the path of a member that stays inside, or refused', () => {
    const member = new MemberPath(DEFAULT_TAR_LIMITS);
    const words = [
      '/',
      '//',
      '.',
      '..',
      '/../',
      '/./',
      '\0',
      'x'.repeat(255),
      'y'.repeat(256),
      'a/'.repeat(256),
    ];
    always(mutatedText(['usr/./bin//env', '.', 'a/b/../c', '/etc/passwd'], words), (text) => {
      const names = unlessRefused(() => {
        member.assign(Buffer.from(text), 'the member');
        return member.key().split('\0');
      });
      if (names === undefined) return;
      expect(names.join('/')).not.toMatch(/(^|\/)\.\.?(\/|$)|^\//);
      const plain = Buffer.from(text)
        .toString('latin1')
        .split('/')
        .filter((name) => name !== '' && name !== '.');
      expect(member.depth).toBe(plain.length);
      expect(member.depth === 0 ? [] : names).toEqual(plain);
    });
  });
});
