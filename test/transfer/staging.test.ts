import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { Staging } from '../../src/transfer/staging.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

let directory: TemporaryDirectory;
let target: string;
beforeEach(() => {
  directory = new TemporaryDirectory();
  target = directory.file('image.raw');
});
afterEach(() => directory[Symbol.dispose]());

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof RdpullError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('a file', () => {
  test('gets its final name when it is published, and not before', async () => {
    await using staging = new Staging(target, false);
    fs.writeFileSync(staging.path, 'new');
    expect(fs.existsSync(target)).toBe(false);
    await staging.publish();
    expect(fs.readFileSync(target, 'utf8')).toBe('new');
    expect(directory.names()).toEqual(['image.raw']);
  });

  test('that is not published is removed', async () => {
    {
      await using staging = new Staging(target, false);
      fs.writeFileSync(staging.path, 'half');
    }
    expect(directory.names()).toEqual([]);
  });

  test('does not replace one that appeared in the meantime', async () => {
    {
      await using staging = new Staging(target, false);
      fs.writeFileSync(staging.path, 'late');
      fs.writeFileSync(target, 'first');
      expect(await codeOf(() => staging.publish())).toBe('target-exists');
    }
    expect(directory.names()).toEqual(['image.raw']);
    expect(fs.readFileSync(target, 'utf8')).toBe('first');
  });

  test('replaces an old one when that is wanted, while somebody reads it', async () => {
    fs.writeFileSync(target, 'old');
    const reader = fs.openSync(target, 'r');
    {
      await using staging = new Staging(target, true);
      fs.writeFileSync(staging.path, 'new');
      await staging.publish();
    }
    expect(fs.readFileSync(target, 'utf8')).toBe('new');
    expect(fs.readFileSync(reader, 'utf8')).toBe('old');
    fs.closeSync(reader);
  });

  test('is made under a name that no image can have', async () => {
    await using staging = new Staging(target, false);
    expect(staging.path.slice(directory.path.length)).toStartWith('/.#');
  });
});

describe('a directory', () => {
  test('replaces an old tree in one step', async () => {
    fs.mkdirSync(`${target}/old`, { recursive: true });
    {
      await using staging = new Staging(target, true);
      fs.mkdirSync(`${staging.path}/new`, { recursive: true });
      await staging.publish();
    }
    expect(directory.names()).toEqual(['image.raw']);
    expect(directory.names('image.raw')).toEqual(['new']);
  });

  test('is published from below the staging path, which then goes', async () => {
    {
      await using staging = new Staging(target, false);
      fs.mkdirSync(`${staging.path}/wrapped/usr`, { recursive: true });
      await staging.publish(`${staging.path}/wrapped`);
    }
    expect(directory.names()).toEqual(['image.raw']);
    expect(directory.names('image.raw')).toEqual(['usr']);
  });
});

test('an existing target is refused at once', async () => {
  fs.writeFileSync(target, 'old');
  expect(await codeOf(() => new Staging(target, false))).toBe('target-exists');
  fs.rmSync(target);
  fs.symlinkSync('/nowhere', target);
  expect(await codeOf(() => new Staging(target, false))).toBe('target-exists');
});

test('directories on the way are made for root alone', async () => {
  await using staging = new Staging(directory.file('run/machines/image.raw'), false);
  expect(fs.statSync(directory.file('run/machines')).mode & 0o777).toBe(0o700);
  expect(staging.path).toStartWith(directory.file('run/machines/'));
});

test('a directory that cannot be made is a clear error', async () => {
  directory.write('run', 'a file');
  expect(await codeOf(() => new Staging(directory.file('run/machines/image.raw'), false))).toBe(
    'storage-failed',
  );
});
