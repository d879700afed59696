import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { encodeAcl, hasNames, parseAclText } from '../../../../src/transfer/sink/tar/posix-acl.ts';
import { run } from '../../../fixtures/run.ts';
import { makeTreeDirectory } from '../../../fixtures/tar.ts';

let base: string;
beforeAll(() => {
  base = makeTreeDirectory();
});
afterAll(() => fs.rmSync(base, { recursive: true }));

function parse(text: string) {
  const entries = parseAclText(Buffer.from(text));
  if (entries === undefined) throw new Error(`no ACL: ${text}`);
  return entries;
}

const noNames = () => {
  throw new Error('looked up a name');
};

/** What the kernel holds after setfacl(1) has set this ACL. */
function bySetfacl(acl: string): string {
  const file = path.join(base, 'f');
  fs.rmSync(file, { force: true });
  fs.writeFileSync(file, '');
  run(['setfacl', '--set', acl, file]);
  const [, line] = run(['getfattr', '-e', 'hex', '-n', 'system.posix_acl_access', 'f'], { cwd: base })
    .toString()
    .split('\n');
  return line?.replace('system.posix_acl_access=0x', '') ?? '';
}

test.each([
  'user::rwx,user:1234:r--,group::r-x,mask::r-x,other::---',
  'u::rw-,u:4000000000:rwx,u:7:-w-,g::---,g:9:--x,g:8:r--,m::rwx,o::r--',
  'other::r--,mask::rwx,group:5:r--,group::r--,user:3:r--,user:2:r--,user::rwx',
])('encodes %s as setfacl does', (acl) => {
  expect(encodeAcl(parse(acl), noNames).toString('hex')).toBe(bySetfacl(acl));
});

test('takes lines, comments and effective rights as getfacl prints them', () => {
  const text = '# file: x\nuser::rwx\nuser:7:rwx\t#effective:r-x\ngroup::r-x\nmask::r-x\nother::---\n\n';
  expect(encodeAcl(parse(text), noNames).toString('hex')).toBe(
    bySetfacl('u::rwx,u:7:rwx,g::r-x,m::r-x,o::---'),
  );
});

test('prefers the numeric id that bsdtar and star add', () => {
  const entries = parse('user::rw-,group::r--,other::r--,user:daemon:rw-:4242,mask::rw-');
  expect(hasNames(entries)).toBe(false);
  expect(encodeAcl(entries, noNames).toString('hex')).toBe(
    bySetfacl('u::rw-,u:4242:rw-,g::r--,m::rw-,o::r--'),
  );
});

test('looks names up', () => {
  const entries = parse('user::rw-\nuser:alice:r--\ngroup::r--\ngroup:wheel:rw-\nmask::rw-\nother::r--');
  expect(hasNames(entries)).toBe(true);
  const value = encodeAcl(entries, (kind, name) => (kind === 'user' && name === 'alice' ? 1000 : 10));
  expect(value.toString('hex')).toBe(bySetfacl('u::rw-,u:1000:r--,g::r--,g:10:rw-,m::rw-,o::r--'));
});

test.each([
  'user',
  'user::',
  'user::rwxt',
  'nobody::rwx',
  'mask:7:rwx',
  'user:7:rwx:x',
  'user:4294967295:rwx',
  'user:7:rwx,nonsense',
])('knows that %p is none', (text) => {
  expect(parseAclText(Buffer.from(text))).toBeUndefined();
});
