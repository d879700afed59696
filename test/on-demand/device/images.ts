import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';
import { SeededRandom } from '../../request/seeded-random.ts';

const MIB = 1024 * 1024;

/** Those that can be made and mounted here. */
export type FileSystem = 'ext4' | 'erofs' | 'squashfs' | 'xfs' | 'btrfs';

/** The files in every image. */
export const TREE = Array.from({ length: 12 }, (_, index) => `usr/file${index}`);

/** Runs a program beside this thread, which may have to serve it. @throws Error with what it wrote when it fails */
export async function runProgram(command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const status = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status}: ${errors}${output}`);
  return output;
}

const made = new Map<FileSystem, Promise<Buffer>>();

/** A file system with {@link TREE}. */
export function bareImage(type: FileSystem): Promise<Buffer> {
  const image = made.get(type) ?? makeImage(type);
  made.set(type, image);
  return image;
}

async function makeImage(type: FileSystem): Promise<Buffer> {
  using directory = new TemporaryDirectory();
  const tree = directory.file('tree');
  const random = new SeededRandom(14);
  for (const name of TREE) {
    fs.mkdirSync(`${tree}/usr`, { recursive: true });
    fs.writeFileSync(
      `${tree}/${name}`,
      Uint8Array.from({ length: random.below(200_000) }, () => random.below(256)),
    );
  }
  const image = directory.write('image', '');
  switch (type) {
    case 'ext4':
      fs.truncateSync(image, 16 * MIB);
      await runProgram('mkfs.ext4', '-q', '-d', tree, image);
      break;
    case 'erofs':
      await runProgram('mkfs.erofs', '--quiet', '-zlz4', image, tree);
      break;
    case 'squashfs':
      await runProgram('mksquashfs', tree, image, '-noappend', '-quiet', '-no-progress');
      break;
    case 'btrfs':
      fs.truncateSync(image, 128 * MIB);
      await runProgram('mkfs.btrfs', '-q', '--rootdir', tree, image);
      break;
    case 'xfs': {
      fs.truncateSync(image, 300 * MIB);
      await runProgram('mkfs.xfs', '-q', image);
      fs.mkdirSync(directory.file('mnt'));
      await runProgram('mount', '-o', 'loop', image, directory.file('mnt'));
      await runProgram('cp', '-r', `${tree}/usr`, directory.file('mnt'));
      await runProgram('umount', directory.file('mnt'));
      break;
    }
  }
  return fs.readFileSync(image);
}

/** The same as the root partition of a disk image, behind an empty one. */
export async function gptImage(type: FileSystem): Promise<Buffer> {
  using directory = new TemporaryDirectory();
  const content = await bareImage(type);
  const path = directory.write('disk.raw', '');
  fs.truncateSync(path, content.length + 4 * MIB);
  const sectors = Math.ceil(content.length / 512);
  await runProgram(
    'sgdisk',
    '--new=1:1M:+1M',
    '--typecode=1:ef00',
    '--change-name=1:esp',
    `--new=2:2M:+${Math.ceil(sectors / 2)}K`,
    '--typecode=2:8304',
    '--change-name=2:root',
    path,
  );
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, content, 0, content.length, 2 * MIB);
  fs.closeSync(fd);
  return fs.readFileSync(path);
}
