import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { entityTag } from '../../src/serve/entity-tag.ts';
import { disposable, ServedDirectory } from '../../src/serve/served-directory.ts';
import { WithheldFiles } from '../../src/serve/withheld-files.ts';
import { DamagedDisk } from '../fixtures/damaged-disk.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

function kindOf(served: ServedDirectory, ...names: string[]): string {
  using found = disposable(served.open(names));
  return found.kind === 'refused' ? found.why : found.kind;
}

test('symbolic links that lead out, hidden files, fifos and secrets are not served', () => {
  using directory = new TemporaryDirectory();
  fs.mkdirSync(directory.file('out/.git'), { recursive: true });
  const root = directory.file('out');
  directory.write('out/image.raw', 'image');
  directory.write('out/key', 'secret');
  directory.write('out/.git/config', 'x');
  directory.write('outside', 'x');
  fs.symlinkSync('image.raw', `${root}/inside`);
  fs.symlinkSync('../outside', `${root}/escape`);
  fs.symlinkSync('..', `${root}/up`);
  fs.symlinkSync('.git', `${root}/repository`);
  fs.linkSync(`${root}/key`, `${root}/other-name`);
  run(['mkfifo', `${root}/fifo`]);

  const served = new ServedDirectory(root, new WithheldFiles([`${root}/key`]));
  expect(kindOf(served, 'image.raw')).toBe('file');
  expect(kindOf(served, 'inside')).toBe('file');
  expect(kindOf(served)).toBe('directory');
  expect(kindOf(served, 'none')).toBe('missing');
  expect(kindOf(served, 'image.raw', 'x')).toBe('missing');
  expect(kindOf(served, '.git', 'config')).toBe('missing');
  expect(kindOf(served, 'repository', 'config')).toBe('it is hidden');
  expect(kindOf(served, 'escape')).toBe('a symbolic link leads out of the directory');
  expect(kindOf(served, 'up', 'outside')).toBe('a symbolic link leads out of the directory');
  expect(kindOf(served, 'key')).toBe('it is a secret');
  expect(kindOf(served, 'other-name')).toBe('it is a secret');
  expect(kindOf(served, 'fifo')).toBe('it is no regular file');
  expect(served.list([])?.map(({ name }) => name)).toEqual(['image.raw', 'inside']);
});

test('a file that cannot be read is left out of the list, and the others are in it', () => {
  using disk = new DamagedDisk();
  const start = 'this is the first block of the file'.repeat(300);
  fs.writeFileSync(`${disk.path}/damaged.raw`, start);
  fs.writeFileSync(`${disk.path}/image.raw`, 'image');
  fs.mkdirSync(`${disk.path}/below`);
  disk.damage(Buffer.from(start.slice(0, 4096)));
  const served = new ServedDirectory(disk.path, new WithheldFiles([]));
  expect(served.list([])?.map(({ name, kind }) => [name, kind])).toEqual([
    ['below', 'directory'],
    ['image.raw', 'file'],
  ]);
  const found = served.open(['damaged.raw']);
  expect(found).toEqual({ kind: 'unreadable', why: 'it cannot be read: EIO: i/o error, read' });
  expect(openBelow(disk.path)).toEqual([]);
});

/** What this process has open in a directory, and nothing that another test has. */
function openBelow(directory: string): string[] {
  const descriptors = fs.readdirSync('/proc/self/fd').map((each) => `/proc/self/fd/${each}`);
  // The one that reads the list is in it, and gone.
  const targets = descriptors.map((each) => (fs.existsSync(each) ? fs.readlinkSync(each) : ''));
  return targets.filter((target) => target.startsWith(`${directory}/`));
}

describe('the key that signs', () => {
  const served = (root: string, ...keys: string[]) => new ServedDirectory(root, new WithheldFiles(keys));
  const SECRET = 'it is a secret';

  test('is not served when another has taken its name, nor the old one under another name', () => {
    using directory = new TemporaryDirectory();
    const key = directory.write('key', 'one');
    const root = served(directory.path, key);
    fs.renameSync(key, directory.file('old'));
    expect(kindOf(root, 'key')).toBe('missing');
    fs.renameSync(directory.write('new', 'two'), key);
    expect(kindOf(root, 'key')).toBe(SECRET);
    expect(kindOf(root, 'old')).toBe(SECRET);
    // A second name of the one that has come.
    fs.linkSync(key, directory.file('second'));
    fs.symlinkSync('key', directory.file('link'));
    expect(kindOf(root, 'second')).toBe(SECRET);
    expect(kindOf(root, 'link')).toBe(SECRET);
    expect(root.list([])).toEqual([]);
    expect(root.secrets()).toEqual(['key']);
  });

  test('is not served where it was named by a link, to whatever that leads', () => {
    using directory = new TemporaryDirectory();
    fs.mkdirSync(directory.file('out'));
    directory.write('out/one', 'one');
    directory.write('out/two', 'two');
    fs.symlinkSync('out/one', directory.file('key'));
    const root = served(directory.file('out'), directory.file('key'));
    expect(kindOf(root, 'one')).toBe(SECRET);
    expect(kindOf(root, 'two')).toBe('file');
    fs.rmSync(directory.file('key'));
    fs.symlinkSync('out/two', directory.file('key'));
    expect(kindOf(root, 'two')).toBe(SECRET);
    expect(kindOf(root, 'one')).toBe(SECRET);
  });

  test('is not served as a copy, nor is any other private key', () => {
    using directory = new TemporaryDirectory();
    using gpg = new GpgHome();
    const id = gpg.generateKey('Builder <builder@example.org>');
    directory.write('armored', gpg.exportSecretKey(id));
    directory.write('binary', gpg.run(['--export-secret-keys', id]));
    run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', directory.file('pem')]);
    directory.write('public.pgp', gpg.exportKeys([id]));
    directory.write('image.raw', Buffer.from([0x95, 0, 0, 4]));
    const root = served(directory.path);
    for (const name of ['binary', 'armored', 'pem']) expect(kindOf(root, name)).toBe(SECRET);
    expect(root.list([])?.map(({ name }) => name)).toEqual(['image.raw', 'public.pgp']);
  });
});

test('new content of the same size and date in the same file has another entity tag', async () => {
  using directory = new TemporaryDirectory();
  const date = new Date('2026-01-01');
  const tagOf = (content: string) => {
    fs.utimesSync(directory.write('image.raw', content), date, date);
    using found = disposable(new ServedDirectory(directory.path, new WithheldFiles([])).open(['image.raw']));
    return found.kind === 'file' ? entityTag(found.state) : undefined;
  };
  const before = tagOf('one');
  // More than the tick of the kernel's file times.
  await Bun.sleep(50);
  expect(before).toMatch(/^"[0-9a-f-]+"$/);
  expect(tagOf('two')).not.toBe(before);
});
