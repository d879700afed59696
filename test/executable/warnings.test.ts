import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import zlib from 'node:zlib';
import { rdpull } from '../fixtures/executable.ts';
import { runToJournal } from '../fixtures/journal.ts';
import { tarArchive, tarMember } from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** Each of them is unpacked, with a warning. */
const MEMBERS = 20_000;
const members = Array.from({ length: MEMBERS }, (_, i) => tarMember({ name: `f${i % 100}/${i}`, type: 'Z' }));

const directory = new TemporaryDirectory();
afterAll(() => directory[Symbol.dispose]());
const archive = directory.write('a.tar.gz', zlib.gzipSync(tarArchive(...members)));
const arguments_ = (local: string) => [
  'pull',
  '--verify=no',
  `--local=${local}`,
  `--image-root=${directory.path}`,
  `file://${archive}`,
];

test('of twenty thousand warnings a few are written, and how many there were', async () => {
  const { status, stderr } = await rdpull(arguments_('t'));
  expect(status).toBe(0);
  expect(fs.readdirSync(directory.file('t')).length).toBe(100);
  const warnings = stderr.split('\n').filter((line) => line.includes('warning: '));
  expect(warnings.length).toBe(11);
  expect(warnings[0]).toBe('rdpull: warning: "f0/0" is of the unknown type "Z": unpacked as a regular file');
  expect(warnings.at(-1)).toBe('rdpull: warning: and 19,990 more about the tar archive');
});

test('nor has the journal more of them', async () => {
  const { entries } = await runToJournal(arguments_('j'));
  const warnings = entries.filter(({ PRIORITY }) => PRIORITY === '4').map(({ MESSAGE }) => MESSAGE);
  expect(warnings.length).toBe(11);
  expect(warnings.at(-1)).toBe('warning: and 19,990 more about the tar archive');
});

test('of the hundred options of an expression that mean nothing, thirty are named', async () => {
  const options = Array.from({ length: 100 }, (_, i) => `nonsense${i}`).join(',');
  const { stderr } = await rdpull([
    'pull',
    `--image-root=${directory.path}`,
    `tar,machine,verify=no,${options}:o:file://${archive}`,
  ]);
  const warnings = stderr.split('\n').filter((line) => line.includes('warning: '));
  expect(warnings.filter((line) => line.includes('nonsense')).length).toBe(30);
  expect(warnings.at(-1)).toMatch(/^rdpull: warning: and \d+ more warnings$/);
});
