import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../../src/console/rdpull-error.ts';
import { isSystemError } from '../../../../src/kernel/system-error.ts';
import { KeptMemory } from '../../../../src/transfer/sink/tar/kept-memory.ts';
import { escapes } from '../../../../src/transfer/sink/tar/tar-error.ts';
import { DEFAULT_TAR_LIMITS } from '../../../../src/transfer/sink/tar/tar-limits.ts';
import { TarReader } from '../../../../src/transfer/sink/tar/tar-reader.ts';
import {
  directory,
  file,
  hardLink,
  link,
  listTree,
  makeTreeDirectory,
  paxHeader,
  tarArchive,
  tarMember,
  unpack,
} from '../../../fixtures/tar.ts';

/**
 * Another process swaps a name in the target for a symbolic link to the outside, all the time, while archives are
 * unpacked through that name. Whatever comes of that, nothing may appear or change outside.
 */
let base: string;
let target: string;
let outside: string;
let outsideBefore: string;

beforeAll(() => {
  base = makeTreeDirectory();
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

beforeEach(() => {
  target = path.join(base, 'target');
  outside = fs.mkdtempSync(path.join(base, 'outside-'));
  fs.mkdirSync(path.join(outside, 'sub'));
  fs.writeFileSync(path.join(outside, 'secret'), 'untouched');
  outsideBefore = outsideNow();
});

/** With the times of the last change, which nobody can set back. */
function outsideNow(): string {
  const changed = ['', 'sub', 'secret'].map((name) =>
    fs.statSync(path.join(outside, name), { bigint: true, throwIfNoEntry: false }),
  );
  return `${changed.map((stat) => stat?.ctimeNs).join(' ')}\n${listTree(outside)}`;
}

/** Runs `work` while `a` and `b`, names in the target, are exchanged. */
async function whileSwapping(a: string, b: string, work: () => void): Promise<void> {
  const script = path.join(import.meta.dir, '../../../fixtures/swap-names.py');
  const swapper = Bun.spawn(['python3', script, path.join(target, a), path.join(target, b)], {
    stdin: 'pipe',
    stdout: 'pipe',
  });
  const { value } = await swapper.stdout.getReader().read();
  expect(Buffer.from(value ?? '').toString()).toStartWith('swapping');
  try {
    work();
  } finally {
    swapper.stdin.end();
    await swapper.exited;
  }
}

interface Round {
  /** The error's code, or 'unpacked'. */
  readonly outcome: string;
  /** Where the tree is now: out of the way of the swapping process, which may still be at its last exchange. */
  readonly tree: string;
}

/** Unpacks into a new target. */
function round(extract: (archive: Uint8Array) => void, archive: Uint8Array): Round {
  let outcome = 'unpacked';
  fs.mkdirSync(target);
  try {
    extract(archive);
  } catch (error) {
    if (error instanceof RdpullError) outcome = error.code;
    else if (isSystemError(error, 'ENOENT', 'EEXIST', 'ENOTDIR')) outcome = error.code;
    else throw error;
  }
  const tree = path.join(fs.mkdtempSync(path.join(base, 'round-')), 'tree');
  fs.renameSync(target, tree);
  return { outcome, tree };
}

/** Nothing changed outside, there was a race, and each round ended as it may. */
function expectNothingLost(
  rounds: readonly Round[],
  raced: string,
  isComplete: (tree: string) => boolean,
): void {
  expect(outsideNow()).toBe(outsideBefore);
  const outcomes = new Set(rounds.map(({ outcome }) => outcome));
  expect(outcomes).toContain(raced);
  for (const outcome of outcomes) expect(OUTCOMES).toContain(outcome);
  for (const { outcome, tree } of rounds) if (outcome === 'unpacked') expect(isComplete(tree)).toBe(true);
}

const unpackAll = (archive: Uint8Array) => void unpack(archive, target);

/** What not to do, to show that the race is one. */
function unpackByPath(archive: Uint8Array): void {
  const reader = new TarReader(
    {
      member(member) {
        const name = path.join(target, Buffer.from(member.path).toString());
        fs.mkdirSync(path.dirname(name), { recursive: true });
        if (fs.lstatSync(path.dirname(name)).isSymbolicLink()) throw escapes('a link on the way');
        if (member.type === 'directory') fs.mkdirSync(name, { recursive: true });
        else if (member.type === 'file') fs.writeFileSync(name, 'naive');
        else if (member.type === 'symbolic-link') fs.symlinkSync(Buffer.from(member.target), name);
      },
      fileData: () => undefined,
      fileEnd: () => undefined,
    },
    { warn: () => undefined, limits: DEFAULT_TAR_LIMITS, kept: new KeptMemory(), isVouchedFor: false },
  );
  reader.write(archive);
  reader.finish();
}

/** How unpacking may end while somebody else is at work in the target. */
const OUTCOMES = ['unpacked', 'tar-escape', 'tar-malformed', 'storage-failed'];

const everything = { mode: 0o4777, uid: 77, gid: 78 };
const attributes = paxHeader([
  ['SCHILY.xattr.trusted.race', 'lost'],
  ['SCHILY.acl.access', 'user::rwx,user:daemon:rwx,user:7:rwx,group::rwx,mask::rwx,other::rwx'],
]);

/** Each makes or changes something below "d": what is first among them meets "d" as it is at that moment. */
const THROUGH_DIRECTORY = [
  Buffer.concat([attributes, tarMember({ name: 'd/secret', ...everything }, 'overwritten')]),
  Buffer.concat([attributes, tarMember({ name: 'd/sub/', type: '5', ...everything })]),
  Buffer.concat([attributes, tarMember({ name: 'd/pipe', type: '6', ...everything })]),
  tarMember({ name: 'd/null', type: '3', major: 1, minor: 3, ...everything }),
  link('d/link', '/etc/passwd'),
  hardLink('d/name', 'd/known'),
  hardLink('name', 'd/secret'),
  file('d/missing/parents/file'),
];

describe('a directory swapped for a link to the outside', () => {
  const archive = (first: number) =>
    tarArchive(
      directory('d', 0o1777),
      file('d/known'),
      file('d/secret'),
      link('swapped', outside),
      // More directories than stay open, so that "d" has to be found again.
      ...Array.from({ length: 70 }, (_, i) => file(`other-${i}/file`)),
      ...THROUGH_DIRECTORY.slice(first),
      ...THROUGH_DIRECTORY.slice(0, first),
    );

  /** The directory has one of the two names. */
  function isComplete(tree: string): boolean {
    const names = ['d', 'swapped'].map((name) => path.join(tree, name));
    const made = names.find((name) => fs.lstatSync(name).isDirectory());
    const expected = ['known', 'link', 'missing', 'name', 'null', 'pipe', 'secret', 'sub'];
    return made !== undefined && fs.readdirSync(made).sort().join() === expected.join();
  }

  test('never leads outside, for any kind of member', async () => {
    const rounds: Round[] = [];
    await whileSwapping('d', 'swapped', () => {
      for (let i = 0; i < 400; i++) rounds.push(round(unpackAll, archive(i % THROUGH_DIRECTORY.length)));
    });
    expectNothingLost(rounds, 'tar-escape', isComplete);
  });

  test('leads outside when a path is looked at first and used then', async () => {
    const writes = tarArchive(directory('d'), link('swapped', outside), file('d/secret'), file('d/secret'));
    await whileSwapping('d', 'swapped', () => {
      const untouched = () => fs.readFileSync(path.join(outside, 'secret'), 'utf8') === 'untouched';
      const deadline = Date.now() + 50_000;
      while (untouched() && Date.now() < deadline) round(unpackByPath, writes);
    });
    expect(outsideNow()).not.toBe(outsideBefore);
  });
});

describe('a member swapped for a link to the outside, before it has its attributes,', () => {
  const made = [
    tarMember({ name: 'x', type: '6', ...everything }),
    tarMember({ name: 'x', type: '3', major: 1, minor: 3, ...everything }),
    tarMember({ name: 'x', ...everything }, 'overwritten'),
    tarMember({ name: 'x', type: '5', ...everything }),
    tarMember({ name: 'x', type: '2', linkName: 'nowhere', ...everything }),
    hardLink('x', 'known'),
  ];

  test.each(['secret', 'sub'])('does not give them to what it points to: %s', async (name) => {
    const rounds: Round[] = [];
    await whileSwapping('x', 'swapped', () => {
      for (let i = 0; i < 600; i++) {
        const members = made.slice(i % made.length, (i % made.length) + 1);
        const again = Array.from({ length: 20 }, () => [
          link('swapped', path.join(outside, name)),
          attributes,
          ...members,
        ]);
        rounds.push(round(unpackAll, tarArchive(file('known'), ...again.flat())));
      }
    });
    expectNothingLost(rounds, 'storage-failed', (tree) => fs.readdirSync(tree).length === 3);
  });
});
