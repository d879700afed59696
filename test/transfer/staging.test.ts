import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { Staging } from '../../src/transfer/staging.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

let directory: TemporaryDirectory;
let target: string;
beforeEach(() => {
  directory = new TemporaryDirectory();
  target = directory.file('image.raw');
  told = [];
});
afterEach(() => directory[Symbol.dispose]());

/** What was told about stale directories. */
let told: string[];

function open({ of = target, replace = false } = {}): Promise<Staging> {
  return Staging.open(of, { replace, tell: (text) => void told.push(text) });
}

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
    {
      using staging = await open();
      fs.writeFileSync(staging.path, 'new');
      expect(fs.existsSync(target)).toBe(false);
      staging.publish();
    }
    expect(fs.readFileSync(target, 'utf8')).toBe('new');
    expect(directory.names()).toEqual(['image.raw']);
  });

  test('that is not published is removed', async () => {
    {
      using staging = await open();
      fs.writeFileSync(staging.path, 'half');
    }
    expect(directory.names()).toEqual([]);
  });

  test('does not replace one that appeared in the meantime', async () => {
    {
      using staging = await open();
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
      using staging = await open({ replace: true });
      fs.writeFileSync(staging.path, 'new');
      staging.publish();
    }
    expect(fs.readFileSync(target, 'utf8')).toBe('new');
    expect(fs.readFileSync(reader, 'utf8')).toBe('old');
    fs.closeSync(reader);
  });

  test('is made under a name that no image can have', async () => {
    using staging = await open();
    expect(staging.path.slice(directory.path.length)).toStartWith('/.#');
  });
});

describe('a directory', () => {
  test('replaces an old tree in one step', async () => {
    fs.mkdirSync(`${target}/old`, { recursive: true });
    {
      using staging = await open({ replace: true });
      fs.mkdirSync(`${staging.path}/new`, { recursive: true });
      staging.publish();
    }
    expect(directory.names()).toEqual(['image.raw']);
    expect(directory.names('image.raw')).toEqual(['new']);
  });

  test('is published from below the staging path, which then goes', async () => {
    {
      using staging = await open();
      fs.mkdirSync(`${staging.path}/wrapped/usr`, { recursive: true });
      staging.publish(`${staging.path}/wrapped`);
    }
    expect(directory.names()).toEqual(['image.raw']);
    expect(directory.names('image.raw')).toEqual(['usr']);
  });
});

test('an existing target is refused at once', async () => {
  fs.writeFileSync(target, 'old');
  expect(await codeOf(() => open())).toBe('target-exists');
  fs.rmSync(target);
  fs.symlinkSync('/nowhere', target);
  expect(await codeOf(() => open())).toBe('target-exists');
});

test('directories on the way are made for root alone', async () => {
  using staging = await open({ of: directory.file('run/machines/image.raw') });
  expect(fs.statSync(directory.file('run/machines')).mode & 0o777).toBe(0o700);
  expect(staging.path).toStartWith(directory.file('run/machines/'));
});

describe('directories that were made on the way', () => {
  const inner = () => open({ of: directory.file('made/run/machines/image.raw') });

  test('are removed again when nothing is published', async () => {
    fs.mkdirSync(directory.file('made'));
    (await inner())[Symbol.dispose]();
    expect(fs.readdirSync(directory.file('made'))).toEqual([]);
    fs.rmdirSync(directory.file('made'));
    (await inner())[Symbol.dispose]();
    expect(directory.names()).not.toContain('made');
  });

  test('stay with what is published, and with what others have put there', async () => {
    const staging = await inner();
    fs.writeFileSync(staging.path, 'image');
    staging.publish();
    staging[Symbol.dispose]();
    expect(fs.readdirSync(directory.file('made/run/machines'))).toEqual(['image.raw']);
    fs.rmSync(directory.file('made'), { recursive: true });
    const other = await inner();
    fs.writeFileSync(directory.file('made/run/note'), '');
    other[Symbol.dispose]();
    expect(fs.readdirSync(directory.file('made/run'))).toEqual(['note']);
    fs.rmSync(directory.file('made'), { recursive: true });
  });

  test('do not go under those who come later: of many that fail at once each is made', async () => {
    const each = async (number: number) => {
      using staging = await open({ of: directory.file(`made/run/machines/${number}.raw`) });
      await Bun.sleep(number % 6);
      return fs.existsSync(path.dirname(staging.path));
    };
    const made = await Promise.all(Array.from({ length: 50 }, (_, number) => each(number)));
    expect(made).toEqual(Array.from({ length: 50 }, () => true));
  });
});

test.each(['plain', 'plain/a/b'])(
  'a directory that cannot be made is a clear error, and not the fault of the disk: %s',
  async (place) => {
    fs.writeFileSync(directory.file('plain'), '');
    await expect(open({ of: directory.file(place, 'image.raw') })).rejects.toMatchObject({
      code: 'target-unwritable',
      message: expect.stringContaining(`${directory.file('plain')} is not a directory`),
    });
  },
);

describe('what a dead process has left', () => {
  /** A process that holds the lock of what it makes, and is killed when `release` is called. */
  async function making(name: string) {
    const child = Bun.spawn(
      [process.execPath, path.join(import.meta.dir, 'staging-holder.ts'), directory.file(name)],
      {
        stdin: 'ignore',
        stdout: 'pipe',
      },
    );
    const { value } = await child.stdout.getReader().read();
    if (
      !Buffer.from(value ?? [])
        .toString()
        .startsWith('/')
    )
      throw new Error('no staging path came');
    return {
      pid: child.pid,
      kill: async () => {
        child.kill('SIGKILL');
        await child.exited;
      },
    };
  }

  test('is removed by the next who makes the same, who says so', async () => {
    const dead = await making('image.raw');
    await dead.kill();
    expect(directory.names('.#rdpull-image.raw')).toEqual(['object']);
    {
      using staging = await open();
      expect(fs.existsSync(staging.path)).toBe(false);
      expect(told).toEqual([
        `removed what an interrupted rdpull left behind: ${directory.file('.#rdpull-image.raw')}`,
      ]);
    }
    expect(directory.names()).toEqual([]);
  });

  test('is removed by the next who makes something else there, trees too', async () => {
    const dead = await making('dead');
    await dead.kill();
    fs.mkdirSync(directory.file('.#rdpull-dead/tree/deep'), { recursive: true });
    using _ = await open();
    expect(directory.names()).toEqual(['.#rdpull-image.raw']);
    expect(told).toHaveLength(1);
  });

  test('is not mixed up with what a living process makes, which keeps the next one out', async () => {
    const living = await making('image.raw');
    try {
      let message = '';
      for (const replace of [false, true]) {
        await open({ replace }).catch((error: RdpullError) => {
          message = `${error.code}: ${error.message}`;
        });
        expect(message).toBe(
          `target-busy: another rdpull (process ${living.pid}) is pulling ${target} at this moment`,
        );
      }
      using _ = await open({ of: directory.file('other') });
      expect(directory.names()).toEqual(['.#rdpull-image.raw', '.#rdpull-other']);
      expect(directory.names('.#rdpull-image.raw')).toEqual(['object']);
      expect(told).toEqual([]);
    } finally {
      await living.kill();
    }
  });

  test('is only removed where it is what rdpull makes: a link or a file of that name stays', async () => {
    directory.write('bystander', 'precious');
    fs.mkdirSync(directory.file('elsewhere'));
    directory.write('elsewhere/file', 'precious');
    fs.symlinkSync('elsewhere', directory.file('.#rdpull-link'));
    directory.write('.#rdpull-file', '');
    {
      using _ = await open();
    }
    expect(directory.names()).toEqual(['.#rdpull-file', '.#rdpull-link', 'bystander', 'elsewhere']);
    expect(directory.names('elsewhere')).toEqual(['file']);
    expect(await codeOf(() => open({ of: directory.file('link') }))).toBe('target-busy');
  });

  test('of another user is not touched', async () => {
    fs.mkdirSync(directory.file('.#rdpull-image.raw'));
    fs.writeFileSync(directory.file('.#rdpull-image.raw/object'), '');
    fs.chownSync(directory.file('.#rdpull-image.raw'), 65534, 65534);
    expect(await codeOf(() => open())).toBe('target-busy');
    using _ = await open({ of: directory.file('other') });
    expect(directory.names('.#rdpull-image.raw')).toEqual(['object']);
  });
});

test('of many who want the same at once each gets it in turn or is told, and nothing is left', async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, async () => {
      try {
        using staging = await open();
        fs.writeFileSync(staging.path, 'x', { flag: 'wx' });
        await Bun.sleep(300);
        staging.publish();
        return 'published';
      } catch (error) {
        return RdpullError.from(error).code;
      }
    }),
  );
  expect(outcomes.filter((outcome) => outcome === 'published')).toHaveLength(1);
  expect(new Set(outcomes)).toEqual(new Set(['published', 'target-exists']));
  expect(directory.names()).toEqual(['image.raw']);
  expect(told).toEqual([]);
});

test('a target with the longest name there is can be made', async () => {
  const name = `${'x'.repeat(251)}.raw`;
  using staging = await open({ of: directory.file(name) });
  fs.writeFileSync(staging.path, '');
  staging.publish();
  expect(directory.names()).toContain(name);
});

test('a tree in which something is mounted is not replaced', async () => {
  fs.mkdirSync(`${target}/mounted`, { recursive: true });
  run(['mount', '-t', 'tmpfs', 'tmpfs', `${target}/mounted`]);
  try {
    fs.writeFileSync(`${target}/mounted/file`, 'precious');
    expect(await codeOf(() => open({ replace: true }))).toBe('target-busy');
    expect(fs.existsSync(`${target}/mounted/file`)).toBe(true);
  } finally {
    run(['umount', `${target}/mounted`]);
  }
});
