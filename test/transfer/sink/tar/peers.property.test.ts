import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { always, unlessRefused } from '../../../fixtures/property.ts';
import {
  makeTreeDirectory,
  paxHeader,
  tarArchive,
  tarHeader,
  tarMember,
  unpack,
} from '../../../fixtures/tar.ts';

/**
 * What GNU tar or bsdtar extract of an archive, whatever the types and sizes in its headers, and whatever precedes them, is
 * extracted, or the archive is refused: never less.
 */
let base: string;
beforeAll(() => {
  base = makeTreeDirectory();
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

const TYPES = ['\0', '0', '1', '2', '3', '4', '5', '6', '7', 'D', 'V', 'Z', 'A', 'N', 'I'] as const;
const MAGICS = ['ustar\x0000', 'ustar  \0', '\0'] as const;
const SIZES = [0, 1, 300, 511, 512, 513, 1024, 1500];

/** What follows a header: nothing, as many bytes as it says, or zeros of that length. */
const BODIES = ['none', 'data', 'zeros'] as const;

interface Piece {
  readonly type: (typeof TYPES)[number];
  readonly magic: (typeof MAGICS)[number];
  readonly size: number;
  readonly body: (typeof BODIES)[number];
  readonly hasSlash: boolean;
  readonly before: readonly (typeof BEFORE)[number][];
}

const BEFORE = ['pax', 'pax-size', 'pax-path', 'solaris', 'global', 'global-size', 'long', 'link'] as const;

const piece: fc.Arbitrary<Piece> = fc.record({
  type: fc.constantFrom(...TYPES),
  magic: fc.constantFrom(...MAGICS),
  size: fc.constantFrom(...SIZES),
  body: fc.constantFrom(...BODIES),
  hasSlash: fc.boolean(),
  before: fc.array(fc.constantFrom(...BEFORE), { maxLength: 2 }),
});

const LONG = { name: '././@LongLink', magic: 'ustar  \0' };

/** What may stand before the member with this name. */
const PRECEDING: Readonly<Record<(typeof BEFORE)[number], (name: string, size: number) => Buffer>> = {
  pax: () => paxHeader([['mtime', '1']]),
  'pax-size': (_, size) => paxHeader([['size', String(size)]]),
  'pax-path': (name) => paxHeader([['path', `pax${name}`]]),
  solaris: () => paxHeader([['mtime', '2']], 'X'),
  global: () => paxHeader([['comment', 'x']], 'g'),
  'global-size': (_, size) => paxHeader([['size', String(size)]], 'g'),
  long: (name) => tarMember({ ...LONG, type: 'L' }, `long${name}\0`),
  link: () => tarMember({ ...LONG, type: 'K' }, 'first\0'),
};

/** A regular file has as many data as it says; of all else nobody knows. */
function isFile({ type, hasSlash }: Piece): boolean {
  return ['\0', '0', '7', 'Z', 'A', 'N', 'I'].includes(type) && !hasSlash;
}

/** Every third number has its size in the PAX header alone. */
function packed(each: Piece, index: number): Buffer {
  const { type, magic, size, hasSlash, before } = each;
  const body = isFile(each) && each.body === 'none' ? 'data' : each.body;
  const name = `m${index}${hasSlash ? '/' : ''}`;
  const saysSize = !before.includes('pax-size') || index % 3 > 0;
  const device = { major: 1, minor: 3 };
  const header = tarHeader({ name, type, magic, size: saysSize ? size : 0, linkName: 'first', ...device });
  const content = Buffer.alloc(body === 'none' ? 0 : Math.ceil(size / 512) * 512);
  if (body === 'data') content.fill('x', 0, size);
  return Buffer.concat([...before.map((kind) => PRECEDING[kind](name, size)), header, content]);
}

/** What lies in a directory, sorted: names, and what they are. */
function listed(directory: string): string[] {
  return fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const stat = fs.lstatSync(path.join(directory, name));
      return `${name} ${(stat.mode & 0o170000).toString(8)} ${stat.isFile() ? stat.size : ''}`;
    })
    .sort();
}

function extractedBy(command: readonly string[], archive: Uint8Array): string[] | undefined {
  const directory = fs.mkdtempSync(path.join(base, 'peer-'));
  try {
    const { exitCode } = Bun.spawnSync([...command, '-C', directory, '-xf', '-'], {
      stdin: archive,
      stdout: 'ignore',
      stderr: 'ignore',
    });
    return exitCode === 0 ? listed(directory) : undefined;
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

function extractedByUs(archive: Uint8Array): string[] | undefined {
  const directory = fs.mkdtempSync(path.join(base, 'ours-'));
  try {
    return unlessRefused(() => {
      unpack(archive, directory);
      return listed(directory);
    });
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

/** The number of a member, whatever headers before it call it. */
const numberOf = (line: string) => line.replace(/^(?:pax|long)?(\w+) .*/, '$1');
const whole = (line: string) => line;

/** A volume label: for bsdtar it has no data, and what stands before it is about the member behind it. */
const isLabel = ({ type, size, before }: Piece) => type === 'V' && (size > 0 || before.length > 0);

/** Where the two disagree what a member is called, or is, rdpull follows GNU tar; but each member is to be there. */
test.each([
  ['GNU tar', ['tar', '--numeric-owner'], whole],
  ['GNU tar --ignore-zeros', ['tar', '--numeric-owner', '--ignore-zeros'], whole],
  ['bsdtar', ['bsdtar'], numberOf],
] as const)('what %s extracts is extracted, or the archive is refused', (_, command, usual) => {
  let taken = 0;
  const members = fc.array(piece, { minLength: 1, maxLength: 4 });
  always(
    members,
    (pieces) => {
      const first = tarMember({ name: 'first' }, 'data');
      const archive = tarArchive(first, ...pieces.map(packed), tarMember({ name: 'last' }, 'data'));
      const ours = extractedByUs(archive);
      if (ours === undefined) return;
      taken++;
      const theirs = extractedBy(command, archive) ?? [];
      const what = pieces.some(isLabel) ? numberOf : usual;
      const found = ours.map(what);
      // A name that only bsdtar gives to the member behind a label.
      const isLost = (line: string) =>
        !found.includes(what(line)) && !(usual === numberOf && pieces.some(isLabel));
      expect(theirs.filter(isLost)).toEqual([]);
    },
    0.1,
  );
  expect(taken).toBeGreaterThan(20);
});
