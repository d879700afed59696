import { afterAll, expect, test } from 'bun:test';
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
