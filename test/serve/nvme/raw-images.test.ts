import { afterEach, beforeEach, expect, test } from 'bun:test';
import fs from 'node:fs';
import { openImage, rawImages } from '../../../src/serve/nvme/raw-images.ts';
import { ServedDirectory } from '../../../src/serve/served-directory.ts';
import { WithheldFiles } from '../../../src/serve/withheld-files.ts';
import { run } from '../../fixtures/run.ts';
import { makeImage } from '../../fixtures/served-image.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

let served: TemporaryDirectory;
beforeEach(() => {
  served = new TemporaryDirectory();
});
afterEach(() => served[Symbol.dispose]());

const directory = () => new ServedDirectory(served.path, new WithheldFiles([]));
const found = () => {
  const { images, left } = rawImages(directory());
  return { images: images.map(({ path }) => path), left: left.map(({ path, why }) => `${path}: ${why}`) };
};
function opened(mode: 'ro' | 'rw', name = 'image.raw') {
  const image = rawImages(directory()).images.find(({ path }) => path === name);
  if (image === undefined) throw new Error(`there is no ${name}`);
  return openImage(directory(), image, mode);
}
function content(mode: 'ro' | 'rw'): string {
  const image = opened(mode);
  if (typeof image === 'string') throw new Error(image);
  using open = image;
  return open.content;
}

function makeDiskOf4096(): void {
  const file = served.file('image.raw');
  run(['truncate', '-s', '16M', file]);
  const device = run(['losetup', '--find', '--show', '--sector-size', '4096', file]).toString().trim();
  run(['sh', '-c', `echo 'start=1MiB, size=4MiB' | sfdisk --quiet --no-tell-kernel --label gpt ${device}`]);
  run(['losetup', '--detach', device]);
}

test('the raw images of a directory and of those in it are exported; a compressed one is, by a line, not', () => {
  fs.mkdirSync(served.file('rack/deep'), { recursive: true });
  for (const name of [
    'image.raw',
    'rack/deep/b.raw',
    'rack/c.RAW',
    '.hidden.raw',
    'image.raw.xz',
    'd.raw.zst',
  ]) {
    served.write(name, 'x');
  }
  served.write('odd name.raw', 'x');
  served.write('image.efi', 'x');
  fs.symlinkSync('/etc/hostname', served.file('outside.raw'));
  expect(found()).toEqual({
    images: ['image.raw', 'rack/c.RAW', 'rack/deep/b.raw'],
    left: [
      'd.raw.zst: it is compressed, and d.raw is not here',
      'odd name.raw: its path is too long, or has other characters than A-Z a-z 0-9 . _ + @ = ~ -',
    ],
  });
});

test('what is called raw and is packed, empty or for sectors of another size is not exported read-only, and says why', () => {
  served.write('image.raw', Buffer.from('fd377a585a0000', 'hex'));
  expect(opened('ro')).toContain('xz');
  served.write('image.raw', '');
  expect(opened('ro')).toContain('image.raw is empty');
  fs.rmSync(served.file('image.raw'));
  makeDiskOf4096();
  expect(opened('ro')).toBe(
    'its partition table is for sectors of 4096 bytes, and read-only there are only those of 512',
  );
  const image = opened('rw');
  if (typeof image === 'string') throw new Error(image);
  using open = image;
  expect(open.file.sectorSize).toBe(4096);
});

test('read-only an image is open for reading alone, and writable for both', () => {
  makeImage(served, 'image.raw');
  for (const [mode, flags] of [
    ['ro', 0],
    ['rw', 2],
  ] as const) {
    const image = opened(mode);
    if (typeof image === 'string') throw new Error(image);
    using open = image;
    const [, octal = ''] =
      /flags:\s+(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${open.file.fd}`, 'utf8')) ?? [];
    expect(Number.parseInt(octal, 8) & 3).toBe(flags);
    expect(open.file.isWritable).toBe(mode === 'rw');
  }
});

test('the content of a read-only image is known by its time and size; that of one which is written to, by the file', () => {
  makeImage(served, 'image.raw');
  const [ro, rw] = [content('ro'), content('rw')];
  expect(content('ro')).toBe(ro);
  fs.utimesSync(served.file('image.raw'), 1000, 1000);
  expect(content('ro')).not.toBe(ro);
  expect(content('rw')).toBe(rw);
  fs.copyFileSync(served.file('image.raw'), served.file('new'));
  fs.renameSync(served.file('new'), served.file('image.raw'));
  expect(content('rw')).not.toBe(rw);
});
