import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { type GeneratorInput, planUnits } from '../../src/generator/unit-plan.ts';
import { quoteArgument } from '../../src/generator/unit-text.ts';
import { always, cases, mutatedText, requirePrintable } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const LINES = [
  'ro quiet rd.systemd.pull=raw,machine,blockdev:root:http://10.0.0.1:8081/image.raw.xz root=LABEL=root rootflags=a,b',
  'rd.systemd.pull=tar,machine,ro:root:https://example.com/{serial}/root.tar.zst root=bind:/run/machines/root',
  'systemd.pull="raw,sysext,verify=checksum:a b:http://h/x%20y.raw" systemd.pull.success_action=reboot',
  'rd.systemd.pull=raw,machine,bootorigin:: root=/dev/disk/by-loop-ref/image.raw rw systemd.volatile=overlay',
  'rd.systemd.pull=raw,machine:disk:file:///srv/x.raw usr=LABEL=usr mount.usrflags=ro',
];
const WORDS = [
  'root=',
  'usr=',
  'rd.systemd.pull=',
  '"',
  "'",
  '%',
  '$',
  '\\',
  '\t',
  'bind:',
  ':',
  ',',
  '..',
  '[Unit]',
  ';',
];

const EXPRESSIONS = ['raw,machine:x:http://h/x.raw', 'tar,confext::https://h/y.tar'] as const;

const input = fc
  .record({
    commandLine: mutatedText(LINES, WORDS),
    expression: mutatedText(EXPRESSIONS, WORDS),
    inInitrd: fc.boolean(),
  })
  .map(({ commandLine, expression, inInitrd }) => inputOf(commandLine, expression, inInitrd));

function inputOf(commandLine: string, expression: string, inInitrd: boolean): GeneratorInput {
  return {
    commandLine,
    credential: { path: '/run/credentials/@system/import.pull', expressions: [expression] },
    inInitrd,
    executable: '/usr/bin/rdpull',
    exists: () => false,
    lacksBootUrl: false,
  };
}

/** What a line of a unit file may be: nothing that comes from outside starts one of its own. */
const LINE = /^(?:#.*|\[[A-Z][a-z]+\]|[A-Z][A-Za-z]+=\S.*|[A-Z][A-Za-z]+=)?$/s;

test('any command line and credential make units, or are told of', () => {
  always(input, (each) => {
    for (const entry of planUnits(each, requirePrintable)) {
      expect(entry.name).not.toMatch(/[\x00-\x1f\x7f]|(^|\/)\.\.(\/|$)|^\//);
      if (!('content' in entry)) continue;
      for (const line of entry.content.split('\n')) {
        expect(line).toMatch(LINE);
        expect(line).not.toMatch(/[\x00-\x1f\x7f]|\\$/);
      }
    }
  });
});

describe('an argument of ExecStart=', () => {
  /** systemd.syntax(7), "Quoting", and systemd.unit(5), "Specifiers", the other way round. */
  function unquoted(written: string): string {
    const body = written.startsWith('"') ? written.slice(1, -1).replaceAll(/\\(.)/gs, '$1') : written;
    return body.replaceAll('%%', '%');
  }

  test('comes back', () => {
    always(fc.string({ unit: 'binary', maxLength: 30 }), (text) => {
      const written = quoteArgument(text);
      expect(unquoted(written)).toBe(text);
      if (!written.startsWith('"')) expect(written).toMatch(/^[^\s"'\\$;]+$/);
    });
  });
});

test('systemd-analyze finds nothing wrong with the units of any command line', () => {
  using directory = new TemporaryDirectory();
  const units = new Map<string, string>();
  // As they are as well: how many of the others make units is chance.
  const asTheyAre = LINES.flatMap((line) => EXPRESSIONS.map((expression) => inputOf(line, expression, true)));
  for (const each of [...asTheyAre, ...cases(input, 150)]) {
    for (const entry of planUnits(each, () => undefined)) {
      if (!('content' in entry) || !entry.name.startsWith('rdpull@') || entry.name.includes('/')) continue;
      units.set(entry.name, entry.content.replaceAll('/usr/bin/rdpull', '/bin/true'));
    }
  }
  for (const [name, content] of units) fs.writeFileSync(directory.file(name), content);
  expect(units.size).toBeGreaterThan(5);
  const files = [...units.keys()].map((name) => path.join(directory.path, name));
  const said = run([
    'sh',
    '-c',
    'systemd-analyze verify --man=no --recursive-errors=no "$@" 2>&1 || true',
    'sh',
    ...files,
  ]);
  const complaints = said
    .toString()
    .split('\n')
    .filter((line) => line.includes(directory.path) || line.includes('rdpull@'));
  expect(complaints).toEqual([]);
});
