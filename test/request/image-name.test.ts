import { describe, expect, test } from 'bun:test';
import type { FileType } from '../../src/request/image-class.ts';
import {
  deriveImageName,
  imageNameDefect,
  imageTypeOf,
  stripImageSuffixes,
} from '../../src/request/image-name.ts';
import { refusal, survives } from './refusal.ts';
import { SeededRandom } from './seeded-random.ts';

describe('an image name', () => {
  test.each(['root', 'a b', 'ä', '.hidden', '-x', 'a:b', 'x'.repeat(255), '...', '#x'])(
    '%j is valid',
    (name) => {
      expect(imageNameDefect(name)).toBeUndefined();
    },
  );

  test.each<[string, string]>([
    ['', 'is empty'],
    ['.', 'means a directory'],
    ['..', 'means a directory'],
    ['a/b', 'contains a slash'],
    ['/', 'contains a slash'],
    ['.#x', 'starts with ".#", which marks temporary files'],
    ['a\x01b', 'contains a control character'],
    ['a\nb', 'contains a control character'],
    ['a\0', 'contains a control character'],
    ['a\x7f', 'contains a control character'],
    [new TextDecoder().decode(Uint8Array.of(0x61, 0xff)), 'is not valid UTF-8'],
    ['\ud800', 'is not valid UTF-8'],
    ['x'.repeat(256), 'is 256 bytes long, 255 is the limit'],
    ['ä'.repeat(128), 'is 256 bytes long, 255 is the limit'],
  ])('%j %s', (name, defect) => {
    expect(imageNameDefect(name)).toBe(defect);
  });
});

describe('stripping suffixes', () => {
  test.each<[FileType, string, string]>([
    ['raw', 'image.raw.xz', 'image'],
    ['raw', 'image.raw', 'image'],
    ['raw', 'foo.img.raw.gz', 'foo'],
    ['raw', 'foo.sysext.raw.zst', 'foo'],
    ['raw', 'foo.raw.sysext.raw', 'foo'],
    ['raw', 'foo.raw.raw', 'foo'],
    ['raw', 'foo.confext.raw', 'foo'],
    ['raw', 'foo.raw.bz2', 'foo'],
    ['raw', 'disk.qcow2', 'disk'],
    ['raw', 'disk.qcow2.xz', 'disk'],
    ['raw', 'x.bin', 'x'],
    ['raw', 'foo.tar.gz', 'foo.tar'],
    ['raw', 'foo.RAW', 'foo.RAW'],
    ['raw', 'foo.raw.lz4', 'foo.raw.lz4'],
    ['raw', 'a.gz.b', 'a.gz.b'],
    ['raw', 'foo.sysext', 'foo.sysext'],
    ['raw', 'raw', 'raw'],
    ['raw', '.raw', ''],
    ['tar', 'image.tar', 'image'],
    ['tar', 'image.tar.xz', 'image'],
    ['tar', 'image.tar.gz', 'image'],
    ['tar', 'image.tar.bz2', 'image'],
    ['tar', 'image.tar.zst', 'image'],
    ['tar', 'image.tgz', 'image'],
    ['tar', 'a.tar.tar', 'a.tar'],
    ['tar', 'image.txz', 'image.txz'],
    ['tar', 'a.tbz2', 'a.tbz2'],
    ['tar', 'a.tar.lz4', 'a.tar.lz4'],
    ['tar', 'foo.TAR', 'foo.TAR'],
    ['tar', 'image.raw.xz', 'image.raw.xz'],
    ['tar', '.tar', ''],
    ['tar', '.tgz', ''],
  ])('%s %s -> %j', (type, fileName, name) => {
    expect(stripImageSuffixes(fileName, type)).toBe(name);
  });
});

describe('deriving the local name', () => {
  test('takes the last component without its suffixes', () => {
    expect(deriveImageName('https://h/d/root_1.2.raw.xz?token=a/b#c', 'raw')).toBe('root_1.2');
    expect(deriveImageName('file:///tmp/tree.tar.gz', 'tar')).toBe('tree');
  });

  test.each<[string, FileType, string]>([
    ['http://h/', 'raw', 'no local name can be derived from "http://h/": it names no file'],
    [
      'http://h/.raw',
      'raw',
      'no local name can be derived from "http://h/.raw": "", which is what remains of it, is empty',
    ],
    [
      'http://h/.tgz',
      'tar',
      'no local name can be derived from "http://h/.tgz": "", which is what remains of it, is empty',
    ],
    [
      'http://h/..',
      'raw',
      'no local name can be derived from "http://h/..": "..", which is what remains of it, means a directory',
    ],
    [
      'http://h/.#x.raw',
      'raw',
      'no local name can be derived from "http://h/.#x.raw": ".", which is what remains of it, means a directory',
    ],
  ])('%s as %s is refused', (url, type, message) => {
    const error = refusal(() => deriveImageName(url, type));
    expect(error.code).toBe('bad-image-name');
    expect(error.message).toBe(message);
    expect(error.hint).toBe('give the local name yourself');
  });

  test('survives 2000 random URLs; what it yields is valid', () => {
    const random = new SeededRandom(3);
    for (let round = 0; round < 2000; round++) {
      const url = random.text(['http://h', '/', '.raw', '.tar', '.#', '.', '\x07', 'ä', 'a', ' '], 12);
      survives(() =>
        expect(imageNameDefect(deriveImageName(url, random.pick(['raw', 'tar'])))).toBeUndefined(),
      );
    }
  });
});

test.each([
  'root.tar',
  'root.tar.xz',
  'root.tar.lz4',
  'root.TGZ',
  'root.txz',
  'root.tbz',
  'root.tbz2',
  'root.tzst',
])('a file called %s is a tarball', (name) => expect(imageTypeOf(name)).toBe('tar'));

test.each(['root.raw', 'root.raw.xz', 'root.tar.xz.raw', 'root', 'tar', 'root.tar.x-z', ''])(
  'a file called %p is a disk image',
  (name) => expect(imageTypeOf(name)).toBe('raw'),
);
