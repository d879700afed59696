import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { imageBytes } from '../../src/expose/image-bytes.ts';
import { findInIso } from '../../src/expose/iso-9660.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { SeededRandom } from '../request/seeded-random.ts';

const PATH = ['live', 'filesystem.squashfs'];

/** What is found in an image, and whether it is the file that was put there. */
function find(image: string, content: Buffer, path: readonly string[] = PATH) {
  const fd = fs.openSync(image, 'r');
  try {
    const bytes = imageBytes(fd);
    const found = findInIso(bytes, path);
    return found === undefined
      ? undefined
      : bytes.read(found.start, found.size).subarray(0, content.length).equals(content);
  } finally {
    fs.closeSync(fd);
  }
}

/** A directory with the file and others, enough of them for several blocks. */
function makeTree(directory: TemporaryDirectory): Buffer {
  const content = Buffer.alloc(100_000, 'rdpull');
  fs.mkdirSync(directory.file('tree/live'), { recursive: true });
  for (let number = 0; number < 60; number++)
    fs.writeFileSync(directory.file(`tree/live/a-rather-long-name-${number}`), `${number}`);
  fs.writeFileSync(directory.file('tree/live/filesystem.squashfs'), content);
  return content;
}

describe('a file is found in an ISO 9660 file system', () => {
  test.each([
    ['of genisoimage, with Rock Ridge', ['genisoimage', '-quiet', '-R']],
    ['of genisoimage, with long names', ['genisoimage', '-quiet', '-iso-level', '4']],
    ['of xorriso', ['xorriso', '-as', 'mkisofs', '-quiet', '-R']],
    ['of xorriso, hybrid', ['xorriso', '-as', 'mkisofs', '-quiet', '-R', '-partition_offset', '16']],
  ])('%s', (_, command) => {
    using directory = new TemporaryDirectory();
    const content = makeTree(directory);
    run([...command, '-o', directory.file('image.iso'), directory.file('tree')]);
    expect(find(directory.file('image.iso'), content)).toBe(true);
    expect(find(directory.file('image.iso'), content, ['live', 'other'])).toBeUndefined();
    expect(find(directory.file('image.iso'), content, ['live'])).toBeUndefined();
    expect(find(directory.file('image.iso'), content, [...PATH, 'x'])).toBeUndefined();
  });
});

test('one that is cut off has no file that lies behind its end; nor has what is no ISO', () => {
  using directory = new TemporaryDirectory();
  const content = makeTree(directory);
  const image = directory.file('image.iso');
  run(['genisoimage', '-quiet', '-R', '-o', image, directory.file('tree')]);
  const whole = fs.readFileSync(image);
  fs.truncateSync(image, whole.indexOf(content) + content.length - 1);
  expect(find(image, content)).toBeUndefined();
  for (const length of [0, 32_769, 34_816]) {
    fs.writeFileSync(image, whole.subarray(0, length));
    expect(find(image, content)).toBeUndefined();
  }
});

test('whatever its bytes are, it comes to an end', () => {
  using directory = new TemporaryDirectory();
  makeTree(directory);
  const image = directory.file('image.iso');
  run(['genisoimage', '-quiet', '-R', '-o', image, directory.file('tree')]);
  const whole = fs.readFileSync(image);
  const bytes = (buffer: Buffer) => ({
    size: buffer.length,
    read: (offset: number, length: number) => Buffer.from(buffer.subarray(offset, offset + length)),
  });
  const random = new SeededRandom(9660);
  for (let time = 0; time < 2000; time++) {
    const spoilt = Buffer.from(whole);
    for (let change = 0; change < 8; change++) spoilt[32_768 + random.below(40_000)] = random.below(256);
    const found = findInIso(bytes(spoilt), PATH);
    if (found !== undefined) expect(found.start + found.size).toBeLessThanOrEqual(spoilt.length);
  }
});
