import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { type DigestedBytes, findDigested } from '../../src/verify/padded-digest.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MIB = 1024 * 1024;

/** What of a device with these bytes has the digest that sha256sum(1) gives these others. */
async function find(device: Buffer, image: Buffer): Promise<DigestedBytes | undefined> {
  using directory = new TemporaryDirectory();
  fs.writeFileSync(directory.file('device'), device);
  fs.writeFileSync(directory.file('image'), image);
  const [digest = ''] = run(['sha256sum', directory.file('image')])
    .toString()
    .split(' ');
  const fd = fs.openSync(directory.file('device'), 'r');
  try {
    const digests = new Set(['0'.repeat(64), digest]);
    const found = await findDigested(
      fd,
      { start: 0, size: device.length },
      digests,
      new AbortController().signal,
    );
    if (found !== undefined) expect(found.digest).toBe(digest);
    return found;
  } finally {
    fs.closeSync(fd);
  }
}

/** Bytes without a zero among them. */
const content = (length: number) => Buffer.alloc(length, 'rdpull');
const zeros = (length: number) => Buffer.alloc(length);

describe('the file that a device begins with is found', () => {
  test.each([
    ['all of it', content(3 * MIB), zeros(0)],
    ['rounded up to a page', content(MIB + 512), zeros(3584)],
    ['rounded up to 2 MiB', content(MIB), zeros(MIB)],
    ['an image that ends in zeros itself', Buffer.concat([content(1000), zeros(MIB + 24)]), zeros(MIB)],
    ['an image that ends in zeros, and all of it', Buffer.concat([content(512), zeros(MIB)]), zeros(0)],
  ])('%s', async (_, image, padding) => {
    const found = await find(Buffer.concat([image, padding]), image);
    expect(found?.size).toBe(image.length);
  });
});

describe('nothing is found', () => {
  const image = content(MIB);
  const changed = Buffer.from(image);
  changed[MIB - 1] = 7;
  const first = Buffer.from(image);
  first[0] = 7;
  test.each([
    ['when the last byte is another', Buffer.concat([changed, zeros(4096)])],
    ['when the first byte is another', first],
    ['when something else follows', Buffer.concat([image, zeros(512), content(512)])],
    ['when it is cut off', image.subarray(0, MIB - 512)],
    ['when there are only zeros', zeros(2 * MIB)],
    [
      'when zeros without end follow',
      Buffer.concat([image, zeros(512), zeros(64 * MIB)]).fill(1, MIB, MIB + 1),
    ],
  ])('%s', async (_, device) => {
    expect(await find(device, image)).toBeUndefined();
  });
});

test('an interruption ends it', async () => {
  using directory = new TemporaryDirectory();
  fs.writeFileSync(directory.file('device'), content(8 * MIB));
  const fd = fs.openSync(directory.file('device'), 'r');
  const controller = new AbortController();
  const reading = findDigested(fd, { start: 0, size: 8 * MIB }, new Set(), controller.signal);
  controller.abort(new Error('enough'));
  expect(reading).rejects.toThrow('enough');
  await reading.catch(() => undefined);
  fs.closeSync(fd);
});
