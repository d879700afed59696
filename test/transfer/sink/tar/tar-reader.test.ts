import { describe, expect, test } from 'bun:test';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import { KeptMemory } from '../../../../src/transfer/sink/tar/kept-memory.ts';
import { DEFAULT_TAR_LIMITS } from '../../../../src/transfer/sink/tar/tar-limits.ts';
import type { TarMember } from '../../../../src/transfer/sink/tar/tar-member.ts';
import { TarReader } from '../../../../src/transfer/sink/tar/tar-reader.ts';
import { paxHeader, tarArchive, tarHeader, tarMember } from '../../../fixtures/tar.ts';

/** What the reader said of an archive, a line each. */
function readAll(archive: Uint8Array, chunkSize = 4096, isVouchedFor = false): string[] {
  const said: string[] = [];
  const reader = new TarReader(
    {
      member: (member) => said.push(describeMember(member)),
      fileData: (data, position) => said.push(`${position}: ${Buffer.from(data).toString('latin1')}`),
      fileEnd: () => said.push('end'),
    },
    {
      warn: (warning) => said.push(`warning: ${warning}`),
      limits: DEFAULT_TAR_LIMITS,
      kept: new KeptMemory(),
      isVouchedFor,
    },
  );
  for (let at = 0; at < archive.length; at += chunkSize) reader.write(archive.subarray(at, at + chunkSize));
  reader.finish();
  expect(reader.bytes).toBe(archive.length);
  return said;
}

function describeMember(member: TarMember): string {
  const path = Buffer.from(member.path).toString('latin1');
  switch (member.type) {
    case 'file':
      return `file ${path} ${member.size}`;
    case 'hard-link':
    case 'symbolic-link':
      return `${member.type} ${path} -> ${Buffer.from(member.target).toString('latin1')}`;
    case 'device':
      return `${member.kind} ${path} ${member.major}:${member.minor}`;
    default:
      return `${member.type} ${path}`;
  }
}

function failure(archive: Uint8Array, isVouchedFor = false): RdpullError {
  try {
    readAll(archive, 4096, isVouchedFor);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('the archive was read');
}

const file = tarMember({ name: 'f' }, 'data');
const FILE = ['file f 4', '0: data', 'end'];

describe('the end of the archive', () => {
  test('is two blocks of zeros, or one, and zeros of any length', () => {
    for (const zeros of [512, 1024, 10240, 1024 + 100, 1 << 20]) {
      expect(readAll(Buffer.concat([file, Buffer.alloc(zeros)]))).toEqual(FILE);
    }
  });

  test('may come at once: an archive of nothing', () => {
    expect(readAll(Buffer.alloc(10240))).toEqual([]);
  });

  test('must come: a stream that ends between members is truncated', () => {
    const error = failure(file);
    expect(error.code).toBe('stream-truncated');
    expect(error.message).toBe(
      'the tar archive ends early: after 1024 bytes, after 1 members, without its end-of-archive marker',
    );
    expect(failure(Buffer.concat([file, Buffer.alloc(511)])).code).toBe('stream-truncated');
    expect(failure(Buffer.concat([file, file.subarray(0, 512)])).code).toBe('stream-truncated');
  });

  test('names the last member, also when its header is long overwritten', () => {
    const chunk = new Uint8Array(1);
    const reader = new TarReader(
      { member: () => undefined, fileData: () => undefined, fileEnd: () => undefined },
      { warn: () => undefined, limits: DEFAULT_TAR_LIMITS, kept: new KeptMemory(), isVouchedFor: false },
    );
    const feed = () => {
      for (const byte of Buffer.concat([file, Buffer.alloc(512, 'x')])) {
        chunk[0] = byte;
        reader.write(chunk);
      }
    };
    expect(feed).toThrow('the tar archive is damaged: at byte 1024, after "f", there is no header');
  });

  test('within a file names it and says how much is missing', () => {
    const error = failure(tarMember({ name: 'usr/bin/env' }, 'x'.repeat(2000)).subarray(0, 512 + 1500));
    expect(error.code).toBe('stream-truncated');
    expect(error.message).toBe(
      'the tar archive ends early: after 2012 bytes, within the file "usr/bin/env", 500 bytes of which are missing',
    );
  });

  test('within the headers of a member is truncated too', () => {
    const pax = paxHeader([['path', 'x']]);
    expect(failure(pax.subarray(0, 520)).code).toBe('stream-truncated');
    expect(failure(pax).code).toBe('stream-truncated');
    const long = tarMember({ name: '././@LongLink', type: 'L' }, 'long');
    expect(failure(long).code).toBe('stream-truncated');
  });

  test('is followed by nothing but zeros', () => {
    for (const zeros of [512, 1024, 10000]) {
      const error = failure(Buffer.concat([file, Buffer.alloc(zeros), Buffer.from('x')]));
      expect(error.code).toBe('stream-trailing-data');
      expect(error.message).toBe(
        `the tar archive ends after 1 members, but other data follow its end at byte ${1024 + zeros}`,
      );
    }
  });

  test('may be followed by another archive, as GNU tar --ignore-zeros takes it', () => {
    const archives = [
      tarArchive(file),
      Buffer.alloc(10_000 - (10_000 % 512)),
      file,
      Buffer.alloc(512),
      tarArchive(file),
    ];
    expect(readAll(Buffer.concat(archives))).toEqual([...FILE, ...FILE, ...FILE]);
    expect(readAll(Buffer.concat([Buffer.alloc(1024), tarArchive(file)]))).toEqual(FILE);
    expect(failure(Buffer.concat([tarArchive(file), file])).code).toBe('stream-truncated');
  });

  test('may be missing where a digest says that these are all bytes', () => {
    const vouched = (archive: Uint8Array) => readAll(archive, 4096, true);
    expect(vouched(file)).toEqual(FILE);
    expect(vouched(Buffer.concat([tarArchive(file), file]))).toEqual([...FILE, ...FILE]);
    const cut = [
      file.subarray(0, 700),
      Buffer.concat([file, file.subarray(0, 511)]),
      Buffer.concat([file, paxHeader([['path', 'x']])]),
      Buffer.concat([file, tarMember({ name: '././@LongLink', type: 'L' }, 'long')]),
      Buffer.concat([file, tarHeader({ name: 'g', size: 5 })]),
    ];
    for (const archive of cut) expect(failure(archive, true).code).toBe('stream-truncated');
    expect(failure(Buffer.alloc(0), true).code).toBe('tar-malformed');
    expect(failure(Buffer.concat([tarArchive(file), Buffer.alloc(512, 'x')]), true).code).toBe(
      'stream-trailing-data',
    );
  });
});

describe('what is no tar archive', () => {
  test('is told by its first block', () => {
    const error = failure(Buffer.alloc(4096, 'This is not a tar archive. '));
    expect(error.code).toBe('tar-malformed');
    expect(error.message).toBe('the file is not a tar archive (its first header block has a wrong checksum)');
    expect(error.hint).toContain('tar --list');
  });

  test('is told of a disk image, which begins with zeros', () => {
    const error = failure(Buffer.concat([Buffer.alloc(1024), Buffer.from('ext4 superblock')]));
    expect(error.code).toBe('tar-malformed');
    expect(error.message).toBe('the file is not a tar archive (it begins with a block of zeros)');
  });

  test('is told of a short or empty file', () => {
    expect(failure(Buffer.from('hello')).message).toBe(
      'the file is not a tar archive: it is only 5 bytes long',
    );
    expect(failure(Buffer.alloc(0)).code).toBe('tar-malformed');
  });

  test('in the middle of an archive is placed', () => {
    const error = failure(Buffer.concat([file, Buffer.alloc(512, 'x'), file]));
    expect(error.code).toBe('tar-malformed');
    expect(error.message).toBe('the tar archive is damaged: at byte 1024, after "f", there is no header');
  });

  test('is told of a header with a flipped bit', () => {
    const damaged = Buffer.from(tarArchive(file, file));
    damaged[1024 + 124] = 0x31;
    expect(failure(damaged).code).toBe('tar-malformed');
  });
});

describe('members', () => {
  test('come in any dialect: v7, contiguous files, prefixes, long names of ustar', () => {
    const archive = tarArchive(
      tarMember({ name: 'v7', type: '\0', magic: '\0' }, 'old'),
      tarMember({ name: 'directory/', type: '\0', magic: '\0' }),
      tarMember({ name: 'contiguous', type: '7' }, 'c'),
      tarMember({ name: 'name', prefix: 'a/prefix' }),
      tarMember({ name: 'n'.repeat(100), prefix: 'p'.repeat(155) }),
      tarMember({ name: 'gnu', magic: 'ustar  ', prefix: 'no prefix' }),
    );
    expect(readAll(archive)).toEqual([
      'file v7 3',
      '0: old',
      'end',
      'directory directory/',
      'file contiguous 1',
      '0: c',
      'end',
      'file a/prefix/name 0',
      'end',
      `file ${'p'.repeat(155)}/${'n'.repeat(100)} 0`,
      'end',
      'file gnu 0',
      'end',
    ]);
  });

  test('of an unknown type are files, with a warning', () => {
    expect(readAll(tarArchive(tarMember({ name: 'x', type: 'Z' }, 'data')))).toEqual([
      'warning: "x" is of the unknown type "Z": unpacked as a regular file',
      'file x 4',
      '0: data',
      'end',
    ]);
  });

  test('of an unknown type are files even if their name ends in a slash, as for GNU tar', () => {
    expect(readAll(tarArchive(tarMember({ name: 'x/', type: 'Z' })))[1]).toBe('file x/ 0');
  });

  test('are not named by what came before a volume label', () => {
    const long = tarMember({ name: '././@LongLink', type: 'L' }, 'long\0');
    const label = tarMember({ name: 'label', type: 'V' });
    expect(readAll(tarArchive(long, paxHeader([['path', 'pax']]), label, file))).toEqual(FILE);
  });

  test('that have no data are not believed to have a size', () => {
    const archive = tarArchive(
      tarHeader({ name: 's', type: '2', linkName: 't', size: 1000 }),
      tarHeader({ name: 'd', type: '5', size: 1000 }),
      tarHeader({ name: 'p', type: '6', size: 1000 }),
      tarHeader({ name: 'c', type: '3', size: 1000, major: 1, minor: 3 }),
      file,
    );
    expect(readAll(archive)).toEqual([
      'symbolic-link s -> t',
      'directory d',
      'fifo p',
      'character c 1:3',
      ...FILE,
    ]);
  });

  test('of a GNU dump have data that nobody wants', () => {
    const archive = tarArchive(tarMember({ name: 'd/', type: 'D' }, 'Yfile\0\0'), file);
    expect(readAll(archive)).toEqual(['directory d/', ...FILE]);
  });

  test('in several volumes are not supported', () => {
    const error = failure(tarArchive(tarMember({ name: 'x', type: 'M' }, 'rest')));
    expect(error.code).toBe('stream-unsupported');
    expect(error.message).toBe('the tar archive is one volume of several: it begins with the rest of a file');
  });

  test('with an impossible owner, device or number are refused', () => {
    const archives = [
      tarArchive(paxHeader([['uid', '4294967295']]), file),
      tarArchive(paxHeader([['gid', '5000000000']]), file),
      tarArchive(tarMember({ name: 'c', type: '3', major: 4096 })),
      tarArchive(paxHeader([['SCHILY.devminor', '1048576']]), tarMember({ name: 'b', type: '4' })),
      tarArchive(tarHeader({ name: 'f', raw: [[108, Buffer.from('zzzzzzz')]] })),
      tarArchive(tarHeader({ name: 'f', raw: [[124, Buffer.alloc(12, 0xff)]] })),
    ];
    for (const archive of archives) expect(failure(archive).code).toBe('tar-malformed');
  });
});

describe('a size of what has no data', () => {
  const pax = paxHeader([['mtime', '1']]);
  const size = paxHeader([['size', '600']]);
  const kinds = [
    ['hard-link l -> f', { name: 'l', type: '1', linkName: 'f' }],
    ['symbolic-link l -> f', { name: 'l', type: '2', linkName: 'f' }],
    ['directory d', { name: 'd', type: '5' }],
    ['directory d/', { name: 'd/', type: '0' }],
    ['directory d/', { name: 'd/', type: '\0' }],
    ['fifo p', { name: 'p', type: '6' }],
    ['character c 1:3', { name: 'c', type: '3', major: 1, minor: 3 }],
  ] as const;

  test.each(kinds)('%s: what follows tells whether there are any', (said, fields) => {
    const without = tarHeader({ ...fields, size: 600 });
    const data = tarMember(fields, 'x'.repeat(600));
    for (const before of [Buffer.alloc(0), pax, size]) {
      expect(readAll(tarArchive(before, without, file))).toEqual([said, ...FILE]);
      expect(readAll(tarArchive(before, without, before, without, file))).toEqual([said, said, ...FILE]);
      expect(readAll(tarArchive(before, without))).toEqual([said]);
      expect(readAll(tarArchive(before, data, file))).toEqual([said, ...FILE]);
      expect(readAll(tarArchive(before, data))).toEqual([said]);
    }
  });

  test('zeros may be such data, and then other ones', () => {
    const data = Buffer.concat([Buffer.alloc(512), Buffer.alloc(1024, 'x')]);
    const link = tarMember({ name: 'l', type: '1', linkName: 'f' }, data);
    expect(readAll(tarArchive(pax, link, file))).toEqual(['hard-link l -> f', ...FILE]);
  });

  test('may be cut off like any', () => {
    const link = tarMember({ name: 'l', type: '1', linkName: 'f' }, 'x'.repeat(2000));
    expect(failure(link.subarray(0, 1024)).code).toBe('stream-truncated');
    expect(failure(Buffer.concat([link.subarray(0, 1024), file]), true).code).toBe('stream-truncated');
  });

  test('is no licence for garbage behind them', () => {
    const link = tarHeader({ name: 'l', type: '1', linkName: 'f', size: 600 });
    const error = failure(Buffer.concat([link, Buffer.alloc(1536, 'x'), file]));
    expect(error.message).toBe('the tar archive is damaged: at byte 1536, after "l", there is no header');
  });
});

describe('PAX headers', () => {
  test('override what the member says, once', () => {
    const archive = tarArchive(
      paxHeader([
        ['path', 'p'],
        ['size', '4'],
      ]),
      tarHeader({ name: 'x', size: 0 }),
      file.subarray(512),
      file,
    );
    expect(readAll(archive)).toEqual(['file p 4', '0: data', 'end', ...FILE]);
  });

  test('win over GNU long names; Solaris calls them X', () => {
    const long = tarMember({ name: '././@LongLink', type: 'L' }, 'long\0');
    const pax = paxHeader([['path', 'pax']], 'X');
    expect(readAll(tarArchive(long, pax, file))[0]).toBe('file pax 4');
    expect(readAll(tarArchive(long, file, file))[0]).toBe('file long 4');
    expect(readAll(tarArchive(long, file, file))[3]).toBe('file f 4');
  });

  test('that are global hold until another one, and yield to those of a member', () => {
    const archive = tarArchive(
      paxHeader([['linkpath', 'global']], 'g'),
      tarMember({ name: 'a', type: '2', linkName: 'own' }),
      paxHeader([['comment', 'else']], 'g'),
      paxHeader([['linkpath', 'local']]),
      tarMember({ name: 'b', type: '2' }),
      paxHeader([['linkpath', '']]),
      tarMember({ name: 'c', type: '2', linkName: 'own' }),
      paxHeader([['linkpath', '']], 'g'),
      tarMember({ name: 'd', type: '2', linkName: 'own' }),
    );
    expect(readAll(archive)).toEqual([
      'symbolic-link a -> global',
      'symbolic-link b -> local',
      'symbolic-link c -> own',
      'symbolic-link d -> own',
    ]);
  });

  test('are bounded, and so are long names', () => {
    const long = tarHeader({ name: 'x', type: 'x', size: (1 << 20) + 1 });
    expect(failure(long)).toMatchObject({
      code: 'limit-exceeded',
      message:
        'the tar archive holds an extended (PAX) header of 1048577 bytes; rdpull takes 1048576 at most',
    });
    expect(failure(tarHeader({ name: 'x', type: 'L', size: 65537 })).code).toBe('limit-exceeded');
    expect(failure(tarHeader({ name: 'x', type: 'g', size: 2 ** 30 })).code).toBe('limit-exceeded');
  });

  test('that are global may comment at any length, which is not kept', () => {
    const comment = (key: string) => paxHeader([[key, 'x'.repeat(600_000)]], 'g');
    expect(readAll(tarArchive(comment('comment.a'), comment('comment.b'), file))).toEqual(FILE);
  });

  test('that are global cannot give thousands of files the same megabyte of attributes', () => {
    for (const key of ['SCHILY.xattr.user.a', 'LIBARCHIVE.xattr.user.a', 'SCHILY.acl.access']) {
      expect(failure(tarArchive(paxHeader([[key, 'x']], 'g'), file)).code).toBe('stream-unsupported');
    }
  });

  test('that are no list of records are refused', () => {
    for (const body of [
      'x',
      '5 a=b\n',
      '99 a=b\n',
      '06 a=b\n7',
      '6 a=bx',
      '5 ab\n',
      ' 6 a=b\n',
      '0 a=b\n',
      '-6 a=b\n',
    ]) {
      expect(failure(tarArchive(tarMember({ name: 'x', type: 'x' }, body), file)).code).toBe('tar-malformed');
    }
  });

  test('with an NFSv4 ACL cause one warning', () => {
    const acl = paxHeader([['SCHILY.acl.ace', 'owner@:rw::allow']]);
    expect(readAll(tarArchive(acl, file, acl, file))).toEqual([
      'warning: "f", and maybe more, has an NFSv4 ACL: unpacked without',
      ...FILE,
      ...FILE,
    ]);
  });
});

describe('headers of which tars take now one and now the other', () => {
  const long = (type: string, name: string) => tarMember({ name: '././@LongLink', type }, `${name}\0`);

  test.each([
    [
      'two extended (PAX) headers before one member',
      [paxHeader([['path', 'a']]), paxHeader([['size', '4']])],
    ],
    ['two GNU long names before one member', [long('L', 'a'), long('L', 'b')]],
    ['two GNU long link targets before one member', [long('K', 'a'), long('K', 'b')]],
    ['a global (PAX) header with the size of all members', [paxHeader([['size', '4']], 'g')]],
  ])('%s: refused', (what, headers) => {
    expect(failure(tarArchive(...headers, file))).toMatchObject({
      code: 'tar-malformed',
      message: `the tar archive holds ${what}: tars disagree about what that means`,
    });
  });
});

describe('sparse files', () => {
  const map10 = (text: string, data = '') =>
    Buffer.concat([Buffer.from(text.padEnd(512, '\0')), Buffer.from(data)]);
  const sparse10 = paxHeader([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 'real/name'],
    ['GNU.sparse.realsize', '5000'],
  ]);

  test('of format 1.0 place their data, and end in a hole', () => {
    const archive = tarArchive(sparse10, tarMember({ name: 'x' }, map10('2\n0\n3\n4096\n4\n', 'abcdefg')));
    expect(readAll(archive)).toEqual(['file real/name 5000', '0: abc', '4096: defg', 'end']);
  });

  test('place their data in chunks of any size', () => {
    const archive = tarArchive(sparse10, tarMember({ name: 'x' }, map10('2\n0\n3\n4096\n4\n', 'abcdefg')));
    const said = readAll(archive, 1);
    expect(said.slice(1, -1)).toEqual(['0: a', '1: b', '2: c', '4096: d', '4097: e', '4098: f', '4099: g']);
  });

  test('that contradict themselves are refused', () => {
    const bad = [
      map10('1\n0\n5\n', 'abcd'), // more than there is
      map10('1\n0\n3\n', 'abcd'), // less than there is
      map10('1\n4999\n4\n', 'abcd'), // beyond the end
      map10('1\n-1\n4\n', 'abcd'),
      map10('1\nx\n4\n', 'abcd'),
      map10('\n'),
      map10('1\n99999999999999999999\n4\n', 'abcd'),
      map10('2\n0\n4\n'),
      map10('3\n0\n1\n1\n1\n2\n'),
    ];
    for (const data of bad)
      expect(failure(tarArchive(sparse10, tarMember({ name: 'x' }, data))).code).toBe('tar-malformed');
  });

  test('of format 0.x with a bad map, or of a future format, are refused', () => {
    const header = (records: [string, string][]) =>
      tarArchive(paxHeader([['GNU.sparse.size', '10'], ...records]), file);
    expect(readAll(header([['GNU.sparse.map', '2,4']]))).toEqual(['file f 10', '2: data', 'end']);
    for (const map of ['2', '2,', '2,4,', 'a,b', '2,3', '7,4']) {
      expect(failure(header([['GNU.sparse.map', map]])).code).toBe('tar-malformed');
    }
    expect(failure(header([['GNU.sparse.numbytes', '4']])).code).toBe('tar-malformed');
    expect(failure(header([['GNU.sparse.major', '2']])).code).toBe('stream-unsupported');
  });

  test('in too many pieces are refused before memory is', () => {
    const pair = Buffer.from('00000000000\x0000000000001\0', 'latin1');
    const block = Buffer.alloc(512);
    for (let i = 0; i < 21; i++) block.set(pair, 24 * i);
    block[504] = 1;
    const header = tarHeader({
      name: 'f',
      type: 'S',
      magic: 'ustar  ',
      raw: [
        [386, pair],
        [410, pair],
        [434, pair],
        [458, pair],
        [482, Buffer.from([1])],
        [483, Buffer.from('77777777777')],
      ],
    });
    const error = failure(Buffer.concat([header, ...Array.from({ length: 50_000 }, () => block)]));
    expect(error.code).toBe('limit-exceeded');
    expect(error.message).toBe('the tar archive holds a sparse file in more than 1000000 pieces');
  });
});
