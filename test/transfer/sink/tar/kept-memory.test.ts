import { expect, test } from 'bun:test';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import { AccountNames } from '../../../../src/transfer/sink/tar/account-names.ts';
import { KeptMemory } from '../../../../src/transfer/sink/tar/kept-memory.ts';
import { OpenDirectories } from '../../../../src/transfer/sink/tar/open-directories.ts';
import { parseAclText } from '../../../../src/transfer/sink/tar/posix-acl.ts';
import { packAcl, unpackAcl } from '../../../../src/transfer/sink/tar/postponed-acl.ts';
import { PostponedAttributes } from '../../../../src/transfer/sink/tar/postponed-attributes.ts';

const MIB = 1024 * 1024;

/** How many times `keep` can be called before there is too much. */
function timesUntilFull(keep: (index: number) => void, most = 1_000_000): number {
  for (let index = 0; index < most; index++) {
    try {
      keep(index);
    } catch (error) {
      if (error instanceof RdpullError && error.code === 'limit-exceeded') return index;
      throw error;
    }
  }
  return most;
}

function postponed() {
  const kept = new KeptMemory();
  const names = new AccountNames(new OpenDirectories(-1), kept);
  return { kept, names, attributes: new PostponedAttributes(names, kept) };
}

const acl = (text: string) => parseAclText(Buffer.from(text)) ?? [];
const directory = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  accessAcl: undefined,
  defaultAcl: undefined,
};

test('60 MiB are kept, and what is released makes room', () => {
  const kept = new KeptMemory();
  kept.take(60 * MIB, 'things');
  kept.release(100);
  kept.take(100, 'things');
  expect(() => kept.take(1, 'things')).toThrow('holds more things than rdpull can keep in mind (60.0 MiB)');
});

test('some 190,000 directories are kept, and no more', () => {
  const { attributes } = postponed();
  const count = timesUntilFull((index) => attributes.addDirectory(`usr/share/directory-${index}`, directory));
  expect(count).toBeWithin(180_000, 250_000);
});

test('a directory that comes again costs no more, nor one that was forgotten', () => {
  const { attributes } = postponed();
  expect(
    timesUntilFull(
      () => attributes.addDirectory('d', { ...directory, defaultAcl: Buffer.alloc(60_000) }),
      5000,
    ),
  ).toBe(5000);
  const again = (index: number) => {
    attributes.addAcl(`${index}`, acl('user:a:r'));
    attributes.forget(`${index}`);
  };
  expect(timesUntilFull(again, 500_000)).toBe(500_000);
});

test('a name costs its length once, however many ACLs have it', () => {
  const { attributes } = postponed();
  const one = acl(`user:${'n'.repeat(250)}:r`);
  expect(timesUntilFull((index) => attributes.addAcl(`${index}`, one))).toBeGreaterThan(100_000);
  const { attributes: others } = postponed();
  const many = timesUntilFull((index) =>
    others.addAcl(`${index}`, acl(`user:${`${index}-`.padEnd(250, 'n')}:r`)),
  );
  expect(many).toBeLessThan(100_000);
});

test('nothing that is kept holds the text that it came from', () => {
  const { names } = postponed();
  const text = Buffer.from(`user:${'a'.repeat(20)}:rwx,group:7:r-x,mask::rwx,other::---#${'x'.repeat(MIB)}`);
  const packed = packAcl(parseAclText(text) ?? [], names);
  expect(packed.buffer.byteLength).toBe(1 + 4 * 8);
  expect(unpackAcl(packed, names)).toEqual(parseAclText(text) ?? []);
  const binary = text.subarray(100, 140);
  const copy = packAcl(binary, names);
  expect(copy.buffer.byteLength).toBe(41);
  expect(Buffer.from(unpackAcl(copy, names) as Uint8Array).equals(binary)).toBe(true);
});
