import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { readInitrdContent } from '../../src/check/initrd-content.ts';
import { alwaysAsync, mutatedBytes, unlessRefusedAsync } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { COMPLETE, type InitrdEntry, makeArchive, RELEASE } from '../fixtures/uki.ts';

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const content = (initrd: Uint8Array) => readInitrdContent([initrd], () => Promise.resolve());
const contentOf = (entries: Readonly<Record<string, InitrdEntry>>) =>
  content(makeArchive(directory, entries));

/** What lies below a directory after the keys were unpacked there. */
function unpacked(unpack: (root: string) => void): Record<string, string> {
  using root = new TemporaryDirectory();
  unpack(root.path);
  const names = run(['find', '.', '!', '-type', 'd', '-printf', '%P %y\n'], { cwd: root.path }).toString();
  return Object.fromEntries(
    names
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' '))
      .map(([name = '', type]) => [
        name,
        type === 'l' ? fs.readlinkSync(root.file(name)) : fs.readFileSync(root.file(name), 'utf8'),
      ]),
  );
}

test('links are followed as the booted system would, also where it has /lib and /bin in /usr', async () => {
  const initrd = await contentOf({
    'bin/rdpull': 'x',
    'etc/systemd/system-generators/systemd-import-generator': { link: '/bin/rdpull' },
    'etc/loop/rdpull': { link: 'rdpull' },
  });
  expect(initrd.resolve('etc/systemd/system-generators/systemd-import-generator')).toBe('usr/bin/rdpull');
  expect(initrd.resolve('etc/loop/rdpull')).toBeUndefined();
});

test('a module is there as a file or built in, of the kernel that is asked for', async () => {
  const initrd = await contentOf(COMPLETE);
  expect(initrd.hasModule('loop', RELEASE)).toBe(true);
  expect(initrd.hasModule('ext4', RELEASE)).toBe(true);
  expect(initrd.hasModule('erofs', RELEASE)).toBe(false);
  expect(initrd.hasModule('loop', '6.2.0')).toBeUndefined();
  expect(initrd.releases).toEqual([RELEASE]);
});

test('later archives replace what earlier ones hold', async () => {
  const name = 'etc/systemd/import-pubring.pgp';
  const one = makeArchive(directory, { [name]: 'first' });
  const initrd = await content(Buffer.concat([one, makeArchive(directory, { [name]: 'second' })]));
  expect(unpacked(initrd.unpackTrust)).toEqual({ [name]: 'second' });
});

test('only keys and certificates are unpacked, and no link leads anywhere', async () => {
  const fingerprint = 'a'.repeat(40);
  const initrd = await contentOf({
    'etc/shadow': 'secret',
    'etc/systemd/import-pubring.pgp': { link: '/etc/shadow' },
    'usr/lib/systemd/import-pubring.gpg': 'keys',
    'etc/verity.d/masked.crt': { link: '/dev/null' },
    'etc/verity.d/own.crt': 'certificate',
    [`etc/voa/debian/image/default/openpgp/${fingerprint}.openpgp`]: 'key',
    'etc/voa/debian/image/default/openpgp/other.openpgp': { link: `${fingerprint}.openpgp` },
  });
  expect(unpacked(initrd.unpackTrust)).toEqual({
    'usr/lib/systemd/import-pubring.gpg': 'keys',
    'etc/verity.d/masked.crt': '/dev/null',
    'etc/verity.d/own.crt': 'certificate',
    [`etc/voa/debian/image/default/openpgp/${fingerprint}.openpgp`]: 'key',
  });
});

test('whatever an archive holds, nothing is unpacked outside', async () => {
  const archive = makeArchive(directory, {
    'etc/voa/x': 'a',
    'etc/systemd/import-pubring.pgp': { link: '../../../etc/passwd' },
    'etc/verity.d/a.crt': 'b',
  });
  const hostile = Buffer.from(archive.toString('latin1').replaceAll('etc/voa/x', '../voa/xy'), 'latin1');
  using parent = new TemporaryDirectory();
  fs.mkdirSync(parent.file('root'));
  await alwaysAsync(
    mutatedBytes([archive, hostile]),
    async (bytes) => {
      await unlessRefusedAsync(async () => (await content(bytes)).unpackTrust(parent.file('root')));
      fs.rmSync(parent.file('root'), { recursive: true });
      fs.mkdirSync(parent.file('root'));
      expect(parent.names()).toEqual(['root']);
    },
    0.2,
  );
});

describe('files with several names, of which one comes with the content,', () => {
  /** GNU cpio writes the content behind the last of them. */
  const archived = (...names: readonly string[]) => {
    const list = Buffer.from(`${names.join('\n')}\n`);
    return run(['cpio', '--quiet', '-o', '-H', 'newc'], { cwd: tree.path, input: list });
  };
  const keys = 'etc/systemd/import-pubring.pgp';
  const tree = new TemporaryDirectory();
  afterAll(() => tree[Symbol.dispose]());
  fs.mkdirSync(tree.file('etc/systemd'), { recursive: true });
  fs.writeFileSync(tree.file(keys), 'keys');
  fs.linkSync(tree.file(keys), tree.file('etc/other'));

  test.each([[[keys, 'etc/other']], [['etc/other', keys]]])('are whole: %p', async (names) => {
    expect(unpacked((await content(archived(...names))).unpackTrust)).toEqual({ [keys]: 'keys' });
  });

  test('are whole also where it is the first', async () => {
    const members = archived(keys, 'etc/other')
      .toString('latin1')
      .split(/(?=070701)/);
    const [empty = '', whole = '', ...trailer] = members;
    const initrd = await content(Buffer.from([whole, empty, ...trailer].join(''), 'latin1'));
    expect(unpacked(initrd.unpackTrust)).toEqual({ [keys]: 'keys' });
  });
});

describe('whatever an archive holds, it is bounded:', () => {
  const refusal = async (entries: Readonly<Record<string, InitrdEntry>>) => {
    using root = new TemporaryDirectory();
    const error: unknown = await contentOf(entries)
      .then((initrd) => initrd.unpackTrust(root.path))
      .catch((caught) => caught);
    expect(root.names()).toEqual([]);
    return error;
  };
  const named = (count: number, entry: InitrdEntry) =>
    Object.fromEntries(Array.from({ length: count }, (_, number) => [`etc/verity.d/l${number}.crt`, entry]));

  test('the links to a file count like the file', async () => {
    const large = { 'etc/verity.d/a.crt': Buffer.alloc(15 << 20) };
    expect(await refusal({ ...large, ...named(4, { link: 'a.crt' }) })).toMatchObject({
      code: 'uki-malformed',
      message: expect.stringContaining(
        'its initrd has 5 keys and certificates of 78643200 bytes, links to them included, and 1024 of 67108864 bytes are read',
      ),
    });
  });

  test('the number of keys', async () => {
    expect(await refusal(named(1025, ''))).toMatchObject({ code: 'uki-malformed' });
    expect(await refusal(named(1025, { link: '/dev/null' }))).toMatchObject({ code: 'uki-malformed' });
  });

  test('the directories that they would lie in', async () => {
    using root = new TemporaryDirectory();
    const initrd = await contentOf({
      [`etc/voa/${'d/'.repeat(200)}x`]: 'a',
      [`etc/verity.d/${'d/'.repeat(9)}x`]: '',
    });
    initrd.unpackTrust(root.path);
    expect(root.names()).toEqual([]);
  });

  test('the names', async () => {
    const long = 'n'.repeat(240);
    const entries = Array.from({ length: 18_000 }, (_, number) => [
      `lib/modules/${long}/${number}/loop.ko`,
      '',
    ]);
    expect(await refusal(Object.fromEntries(entries))).toMatchObject({
      code: 'uki-malformed',
      message: expect.stringContaining('the names in its initrd have too many bytes'),
    });
  });
});
