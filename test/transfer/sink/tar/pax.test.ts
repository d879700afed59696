import { describe, expect, test } from 'bun:test';
import { enterPaxRecord, noPaxAttributes, paxRecords } from '../../../../src/transfer/sink/tar/pax.ts';
import { paxRecord } from '../../../fixtures/tar.ts';

function enter(...records: readonly (readonly [string, string | Uint8Array])[]) {
  const attributes = noPaxAttributes();
  const body = Buffer.concat(records.map(([key, value]) => paxRecord(key, value)));
  for (const [key, value] of paxRecords(body)) enterPaxRecord(attributes, key, value);
  return attributes;
}

describe('extended attributes', () => {
  const value = Buffer.from('00ff0a3d80c3280d', 'hex'); // NUL, newline, =, broken UTF-8

  test('are bytes', () => {
    expect(Buffer.from(enter(['SCHILY.xattr.user.x', value]).xattrs.get('user.x') ?? '')).toEqual(value);
  });

  test('may be empty', () => {
    expect(enter(['SCHILY.xattr.user.x', '']).xattrs.get('user.x')?.length).toBe(0);
  });

  test("have GNU tar's escapes in their names undone, and no others", () => {
    expect([...enter(['SCHILY.xattr.user.a%3Db%25c%41', '1']).xattrs.keys()]).toEqual(['user.a=b%c%41']);
  });

  test('come from libarchive in base 64, without padding, under an escaped name', () => {
    const encoded = value.toString('base64').replace(/=+$/, '');
    const { xattrs } = enter(['LIBARCHIVE.xattr.user.a%3db%2f', encoded]);
    expect(Buffer.from(xattrs.get('user.a=b/') ?? '')).toEqual(value);
    expect(() => enter(['LIBARCHIVE.xattr.user.a', 'no*base64'])).toThrow(
      'invalid LIBARCHIVE.xattr.user.a: "no*base64"',
    );
  });

  test('cannot write to the terminal by their names', () => {
    expect(() => enter(['LIBARCHIVE.xattr.\x1b[2J\0', 'no*base64'])).toThrow(
      'invalid LIBARCHIVE.xattr.\\x1b[2J\\x00: "no*base64"',
    );
  });

  test('are taken as they are when both forms are there, in either order', () => {
    const raw = ['SCHILY.xattr.user.a', 'raw'] as const;
    const encoded = ['LIBARCHIVE.xattr.user.a', Buffer.from('64').toString('base64')] as const;
    for (const records of [
      [raw, encoded],
      [encoded, raw],
    ]) {
      expect(Buffer.from(enter(...records).xattrs.get('user.a') ?? '').toString()).toBe('raw');
    }
  });

  test('that cannot exist are refused', () => {
    expect(() => enter(['SCHILY.xattr.', 'x'])).toThrow('cannot exist');
    expect(() => enter([`SCHILY.xattr.user.${'x'.repeat(251)}`, 'x'])).toThrow('cannot exist');
    expect(() => enter(['SCHILY.xattr.user.\0', 'x'])).toThrow('cannot exist');
    expect(() => enter(['SCHILY.xattr.user.x', Buffer.alloc(65537)])).toThrow(
      'an extended attribute of 65537 bytes; Linux allows 65536',
    );
  });
});

describe('times', () => {
  test.each([
    ['1', 1, 0],
    ['1.5', 1, 500_000_000],
    ['1.000000001', 1, 1],
    ['1.0000000019', 1, 1],
    ['1.', 1, 0],
    ['0', 0, 0],
    ['-1', -1, 0],
    ['-0.25', -1, 750_000_000],
    ['-1.000000001', -2, 999_999_999],
    ['-1.0000000001', -2, 999_999_999],
    ['253402300799.999999999', 253402300799, 999_999_999],
  ])('%s', (text, seconds, nanoseconds) => {
    expect(enter(['mtime', text]).mtime).toEqual({ seconds, nanoseconds });
  });

  test.each(['x', '1e3', '--1', '1.5.5', '1,5', ' 1', '99999999999999999999'])('refuses %p', (text) => {
    expect(() => enter(['mtime', text])).toThrow('invalid mtime');
  });
});

test('numbers are decimal digits alone', () => {
  expect(enter(['size', '8589934592']).size).toBe(2 ** 33);
  for (const text of ['-1', '1.0', '0x10', '1 ', '9007199254740993', '1'.repeat(400)]) {
    expect(() => enter(['size', text])).toThrow('invalid size');
  }
});

test('an empty value takes back an earlier one', () => {
  expect(enter(['uid', '5'], ['uid', ''])).toMatchObject({ uid: undefined });
});

test('what is unknown is ignored', () => {
  const { xattrs, ...rest } = enter(
    ['comment', 'x'],
    ['atime', 'never'],
    ['VENDOR.key', 'y'],
    ['uname', 'root'],
  );
  const { xattrs: none, ...nothing } = noPaxAttributes();
  expect(xattrs).toEqual(none);
  expect(rest).toEqual(nothing);
});

test('keys that look alike are told from each other, whichever comes first', () => {
  for (let round = 0; round < 2; round++) {
    const { path, uid, mtime } = enter(
      ['pbth', 'another'],
      ['path', 'name'],
      ['uad', 'x'],
      ['uid', '7'],
      ['mtime', '5'],
      ['mtxme', '6'],
    );
    expect(Buffer.from(path ?? '').toString()).toBe('name');
    expect({ uid, mtime }).toEqual({ uid: 7, mtime: { seconds: 5, nanoseconds: 0 } });
  }
});
