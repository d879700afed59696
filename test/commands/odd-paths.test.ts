import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** What a terminal acts on, and a shell. */
const ODD = 'a\x1b[31m\nrdpull: b';
const SHOWN = 'a\\x1b[31m\\x0ardpull: b';
/** The same as a word for bash. */
const WORD = "a\\x1b[31m\\x0ardpull: b'";

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());

const file = (name: string) => directory.file(name);

function makeImage(name: string): string {
  run(['truncate', '-s', '8M', file(name)]);
  run(['mkfs.ext4', '-q', file(name)]);
  return file(name);
}

/** What is told of a failure, in place of the directory a dot. */
async function failure(args: readonly string[], options = {}): Promise<string> {
  const { status, stderr } = await rdpull(args, options);
  expect(status).not.toBe(0);
  return stderr.replaceAll(directory.path, '.');
}

describe('a path with control characters is shown without them, and quoted in what can be pasted', () => {
  test('attach and detach', async () => {
    const image = makeImage(`${ODD}.raw`);
    const { stdout } = await rdpull(['attach', image]);
    const device = stdout.trim();
    fs.mkdirSync(file(`mount ${ODD}`));
    run(['mount', device, file(`mount ${ODD}`)]);
    try {
      expect(await failure(['detach', device])).toBe(
        `rdpull: error: ${device} cannot be detached: ${device} is mounted on ./mount ${SHOWN}\n` +
          `rdpull: try: unmount it first: umount $'./mount ${WORD}\n`,
      );
    } finally {
      run(['umount', device]);
    }
    const { stderr } = await rdpull(['detach', image]);
    expect(stderr.replaceAll(directory.path, '.')).toBe(`rdpull: ${device} (./${SHOWN}.raw) is detached\n`);
    expect(await failure(['detach', image])).toStartWith(
      `rdpull: error: ./${SHOWN}.raw is not attached to a loop device\n`,
    );
    expect(await failure(['detach', `${image}.none`])).toStartWith(
      `rdpull: error: ./${SHOWN}.raw.none does not exist\n`,
    );
  });

  test.each([
    [
      'an image that is none',
      () => fs.writeFileSync(file(ODD), 'x'.repeat(9999)),
      'holds neither a partition table',
    ],
    ['an empty one', () => fs.writeFileSync(file(ODD), ''), 'is empty\n'],
    ['a directory', () => fs.mkdirSync(file(ODD)), 'is not a regular file\n'],
    [
      'a link to itself',
      () => fs.symlinkSync(file(ODD), file(ODD)),
      `cannot be opened: ELOOP: too many symbolic links encountered, stat './${SHOWN}'\n`,
    ],
  ])('attach: %s', async (_, make, told) => {
    make();
    try {
      expect(await failure(['attach', file(ODD)])).toStartWith(`rdpull: error: ./${SHOWN} ${told}`);
    } finally {
      fs.rmSync(file(ODD), { recursive: true });
    }
  });

  test('attach --loop-ref', async () => {
    const image = makeImage('plain.raw');
    const name = ODD + 'x'.repeat(63);
    const { stderr } = await rdpull(['attach', `--loop-ref=${name}`, image]);
    await rdpull(['detach', image]);
    expect(stderr).toStartWith(`rdpull: warning: the loop-ref ${SHOWN}${'x'.repeat(63)} is `);
  });

  test('pull --bind', async () => {
    expect(await failure(['pull', '--verify=no', `--bind=${file(ODD)}`, 'file:///none.tar'])).toBe(
      `rdpull: error: ./${SHOWN} is not a directory, so nothing can be mounted on it\n` +
        `rdpull: try: make it first: mkdir -p $'./${WORD}\n`,
    );
  });

  test('overlay', async () => {
    fs.mkdirSync(file(ODD));
    try {
      expect(await failure(['overlay', 'tmpfs', file(ODD)])).toBe(
        `rdpull: error: nothing is mounted on ./${SHOWN}, so that there is nothing to write over\n` +
          `rdpull: try: mount the root there first, read-only: mount -o ro DEVICE $'./${WORD}\n`,
      );
    } finally {
      fs.rmdirSync(file(ODD));
    }
  });

  test('what is in the way of a pull', async () => {
    const root = file("my images'");
    fs.mkdirSync(root);
    fs.writeFileSync(`${root}/.#rdpull-x.raw`, '');
    const args = [
      'pull',
      '--verify=no',
      '--local=x',
      `--image-root=${root}`,
      `file://${makeImage('source.raw')}`,
    ];
    expect(await failure(args)).toEndWith(
      "rdpull: try: remove it when none is: rm -r './my images'\\''/.#rdpull-x.raw'\n",
    );
  });
});

describe('a path that leads through a file is no defect of rdpull, and told before anything is done', () => {
  const through = () => {
    fs.writeFileSync(file('plain'), '');
    return file('plain/x');
  };
  const blockdev = ['pull', '--verify=no', '--blockdev', 'http://127.0.0.1:1/x.raw'];
  test.each([
    [
      'pull --bind',
      () => ['pull', '--verify=no', `--bind=${through()}`, 'file:///none.tar'],
      './plain/x is not a directory, so nothing can be mounted on it\nrdpull: try: name a directory with --bind=DIR\n',
    ],
    [
      'pull --root-link',
      () => [...blockdev, `--root-link=${through()}`],
      'the link ./plain/x cannot be made: ./plain is not a directory\n',
    ],
    ['serve', () => ['serve', through()], 'there is no directory ./plain/x\n'],
    ['overlay', () => ['overlay', '/dev/null/x', '/'], 'there is no /dev/null/x\n'],
  ])('%s', async (_, args, told) => {
    expect(await failure(args())).toContain(told);
  });
});

test('a URL in a hint is one word for a shell', async () => {
  expect(await failure(['check', 'http://host/a.efi?x=1&y=(2)'])).toEndWith(
    "rdpull check FILE --boot-url='http://host/a.efi?x=1&y=(2)'\n",
  );
});
