import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { JOURNAL_EVENTS, JOURNAL_FIELDS } from '../../src/console/journal-events.ts';
import { runToJournal, UNIT } from '../fixtures/journal.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const CATALOG = fs.readFileSync(path.resolve(import.meta.dir, '../../units/rdpull.catalog'), 'utf8');

const served = new TemporaryDirectory();
let server: WebServer;
let sha256: string;
let size: number;

beforeAll(() => {
  const image = makeImage(served);
  served.write('image.raw.xz', run(['xz', '-c', image]));
  run(['sh', '-c', 'sha256sum image.raw.xz > SHA256SUMS'], { cwd: served.path });
  sha256 = fs.readFileSync(served.file('SHA256SUMS'), 'utf8').slice(0, 64);
  size = fs.statSync(served.file('image.raw.xz')).size;
  server = startWebServer(served.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  served[Symbol.dispose]();
});

const id = (event: keyof typeof JOURNAL_EVENTS) => JOURNAL_EVENTS[event].id;

describe('a service whose output the journal reads', () => {
  test('has its pull in there with fields, as the unit that it is', async () => {
    using target = new TemporaryDirectory();
    const { entries, explained } = await runToJournal([
      'pull',
      '--verify=checksum',
      `--image-root=${target.path}`,
      `${server.url.replace('http://', 'http://somebody:secret@')}/image.raw.xz`,
    ]);
    const image = { RDPULL_URL: `${server.url}/image.raw.xz`, RDPULL_TARGET: target.file('image.raw') };
    const ours = { SYSLOG_IDENTIFIER: 'rdpull', _SYSTEMD_UNIT: UNIT };
    const of = (event: keyof typeof JOURNAL_EVENTS) =>
      entries.filter((entry) => entry['MESSAGE_ID'] === id(event));
    expect(of('pull-started')).toEqual([
      expect.objectContaining({
        ...ours,
        ...image,
        PRIORITY: '6',
        RDPULL_SIZE: String(size),
        MESSAGE: expect.stringMatching(/^pulling http:\S+ \(.*\)$/),
      }),
    ]);
    expect(of('pull-finished')).toEqual([
      expect.objectContaining({
        ...ours,
        ...image,
        PRIORITY: '6',
        RDPULL_BYTES_RECEIVED: String(size),
        RDPULL_BYTES_WRITTEN: String(fs.statSync(target.file('image.raw')).size),
        RDPULL_MILLISECONDS: expect.stringMatching(/^\d+$/),
        RDPULL_SHA256: sha256,
        RDPULL_VERIFIED_BY: 'checksum',
        RDPULL_MANIFEST_URL: `${server.url}/SHA256SUMS`,
      }),
    ]);
    // What --verbose would say is there without it, for who asks for it.
    expect(entries).toContainEqual(
      expect.objectContaining({
        ...image,
        PRIORITY: '7',
        MESSAGE: `SHA-256 of what was received: ${sha256}`,
      }),
    );
    // Its arguments are in the journal by journald itself (_CMDLINE): systemd has them from the unit, too.
    const said = entries.map(({ _CMDLINE: _, ...entry }) => entry);
    expect(JSON.stringify(said)).not.toContain('secret');
    expect(explained).toContain(` Subject: The image ${target.file('image.raw')} is complete`);
    expect(explained).not.toContain('@');
    expect(explained).toContain(' It was verified by: checksum. ');
  });

  test('has a failure in there with its code, its hint and where it comes from, although it ends at once', async () => {
    using target = new TemporaryDirectory();
    const { entries, explained } = await runToJournal([
      'pull',
      '--verify=no',
      `--image-root=${target.path}`,
      `${server.url}/missing.raw`,
    ]);
    const failed = entries.filter((entry) => entry['MESSAGE_ID'] === id('failed'));
    expect(failed).toEqual([
      expect.objectContaining({
        PRIORITY: '3',
        MESSAGE: `error: ${server.url}/missing.raw: the server answers 404 Not Found`,
        RDPULL_URL: `${server.url}/missing.raw`,
        RDPULL_TARGET: target.file('missing.raw'),
        RDPULL_ERROR: 'http-not-found',
        RDPULL_EXIT_STATUS: '11',
        RDPULL_HINT: expect.stringMatching(/^check the name of the file/),
        RDPULL_CAUSE: expect.stringMatching(/404 Not Found\n +at /),
        _SYSTEMD_UNIT: UNIT,
      }),
    ]);
    expect(entries.at(-1)).toMatchObject({ PRIORITY: '3', MESSAGE: expect.stringMatching(/^try: check/) });
    expect(explained).toContain(' Subject: rdpull has failed: http-not-found');
    expect(explained).toContain(' What to try: check the name of the file');
  });

  test('loses nothing when the socket of the journal is not there: lines go through standard error', async () => {
    const { entries } = await runToJournal(['pull', '--verify=no', `${server.url}/missing.raw`], {
      before: 'rm /run/systemd/journal/socket',
    });
    expect(entries.map(({ PRIORITY, MESSAGE, _TRANSPORT }) => ({ PRIORITY, MESSAGE, _TRANSPORT }))).toEqual([
      { PRIORITY: '4', MESSAGE: expect.stringMatching(/^warning: /), _TRANSPORT: 'stdout' },
      { PRIORITY: '3', MESSAGE: expect.stringMatching(/^error: .* 404 Not Found$/), _TRANSPORT: 'stdout' },
      { PRIORITY: '3', MESSAGE: expect.stringMatching(/^try: /), _TRANSPORT: 'stdout' },
    ]);
  });

  test('finds a failure by its unit, though journald reads it when the process is gone', async () => {
    const { entries } = await runToJournal(['pull', '--quiet', '--verify=no', `${server.url}/missing.raw`], {
      before: 'kill -STOP "$journald"; (sleep 1; kill -CONT "$journald") &',
    });
    expect(entries.map(({ MESSAGE }) => MESSAGE)).toEqual([
      expect.stringMatching(/^error: .* 404 Not Found$/),
      expect.stringMatching(/^try: /),
    ]);
  });

  test('with --quiet says what has failed, and nothing else', async () => {
    const { entries } = await runToJournal(['pull', '--quiet', '--verify=no', `${server.url}/missing.raw`]);
    expect(entries.map(({ PRIORITY }) => PRIORITY)).toEqual(['3', '3']);
  });
});

describe('the catalog', () => {
  const entries = CATALOG.split(/^-- /m).slice(1);

  test('explains each event, and no other', () => {
    const ids = entries.map((entry) => entry.slice(0, 32));
    expect(ids.sort()).toEqual(
      Object.values(JOURNAL_EVENTS)
        .map((event) => event.id)
        .sort(),
    );
  });

  test.each(Object.entries(JOURNAL_EVENTS))('names only fields that %s always has', (_, event) => {
    const [entry = ''] = entries.filter((each) => each.startsWith(event.id));
    const named = [...entry.matchAll(/@(\w+)@/g)].map(([, name = '']) => name);
    const fields: readonly string[] = event.fields.map((field) => JOURNAL_FIELDS[field]);
    expect(named.filter((name) => !fields.includes(name))).toEqual([]);
  });
});
