import { expect, test } from 'bun:test';
import fs from 'node:fs';
import { FileDigests } from '../../src/serve/file-digests.ts';
import { ServedDirectory } from '../../src/serve/served-directory.ts';
import { staleListWarnings } from '../../src/serve/stale-list.ts';
import { WithheldFiles } from '../../src/serve/withheld-files.ts';
import { DamagedDisk } from '../fixtures/damaged-disk.ts';

test('a list is compared with the files that can be read, whatever is the matter with another', async () => {
  using disk = new DamagedDisk();
  const second = 'the second block'.repeat(1000);
  fs.writeFileSync(
    `${disk.path}/damaged.raw`,
    Buffer.concat([Buffer.alloc(4096, 'first'), Buffer.from(second)]),
  );
  fs.writeFileSync(`${disk.path}/image.raw`, 'image');
  const line = (name: string) => `${'0'.repeat(64)}  ${name}\n`;
  fs.writeFileSync(`${disk.path}/SHA256SUMS`, line('damaged.raw') + line('image.raw'));
  disk.damage(Buffer.from(second.slice(0, 4096)));
  const directory = new ServedDirectory(disk.path, new WithheldFiles([]));
  expect(await staleListWarnings(directory, new FileDigests())).toEqual([
    'damaged.raw is not compared with SHA256SUMS: EIO: i/o error, read',
    'SHA256SUMS has another digest for image.raw than it has now: remove the file, and it is made for what is there',
  ]);
});
