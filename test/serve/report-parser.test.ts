import { describe, expect, test } from 'bun:test';
import { shellCommand } from '../../src/console/shell-command.ts';
import { encodeReport, REPORT_LINES_MAX, REPORT_TEXT_MAX } from '../../src/report/report-line.ts';
import { parseReport } from '../../src/serve/report-parser.ts';

const BOOT = '7770c9c7-e564-43ea-86f8-79360c0b3466';
const MACHINE = {
  boot: BOOT,
  name: 'node3',
  serial: 'S-1',
  mac: '52:54:00:12:34:56',
  uki: 'http://h/image.efi',
  firmware: 2100,
};

const told = (...lines: readonly object[]) =>
  parseReport([MACHINE, ...lines].map((line) => JSON.stringify(line)).join('\n'));
const failed = (fields: object) => told({ event: 'failed', at: 1, ...fields })?.events[0];

test('what rdpull sends is taken as it is', () => {
  const events = [
    {
      event: 'pull-started',
      at: 5000,
      message: 'pulling http://h/x (1 MiB)',
      url: 'http://h/x',
      size: 1048576,
    },
    { event: 'progress', at: 7000, received: 500, written: 500, rate: 250, size: 1048576 },
  ] as const;
  expect(parseReport(encodeReport(MACHINE, events))).toEqual({ machine: MACHINE, events: [...events] });
});

describe('what is no report is refused', () => {
  test.each(['', '\n', 'x', '[]', 'null', '"x"', '{}', '{"boot":7}', '{"boot":"x"}', '{"boot":"../../etc"}'])(
    '%j',
    (text) => {
      expect(parseReport(text)).toBeUndefined();
    },
  );
});

test('lines and fields of another kind are passed over', () => {
  const report = told(
    { event: 'reboot' },
    { event: 'constructor' },
    { event: '__proto__' },
    { event: 'progress', at: -1, received: '5', written: Number.MAX_VALUE, rate: null, target: 7, more: 'x' },
  );
  expect(report?.events).toEqual([{ event: 'progress', at: 0 }]);
  expect(
    parseReport(`${JSON.stringify(MACHINE)}\n{"event":"failed","__proto__":{"x":1}}\nnot json`)?.events
      .length,
  ).toBe(1);
});

test('no text is anything but text to a terminal, or longer than it may be', () => {
  const message = `\x1b[2J\x9b31m\u202eevil\r\n\0${'x'.repeat(5000)}`;
  const event = failed({ message, hint: message, target: message });
  for (const text of [event?.message, event?.hint, event?.target]) {
    expect(text).toMatch(/^\\x1b\[2J\\x9b31m\\u\{202e\}evil\\x0d\\x0a\\x00x+…$/);
    expect(text?.length).toBeLessThan(REPORT_TEXT_MAX + 60);
  }
  const { name } =
    parseReport(JSON.stringify({ ...MACHINE, name: '\x1b]0;x\x07'.repeat(100) }))?.machine ?? {};
  expect(name).not.toMatch(/[\x00-\x1f]/);
  expect(name?.length).toBeLessThan(300);
});

test('a login that a machine should not have sent is not shown either', () => {
  expect(failed({ message: 'http://user:hunter2@host/x' })?.message).toBe('http://host/x');
});

test('of more lines than a report has, the rest is not read', () => {
  const lines = Array.from({ length: 5000 }, () => ({ event: 'progress', at: 1 }));
  expect(told(...lines)?.events.length).toBe(REPORT_LINES_MAX - 1);
});

describe('a command to try it again is shown', () => {
  test.each([
    'rdpull pull --verify=checksum http://192.0.2.7/image.raw',
    shellCommand(['rdpull', 'pull', '--local=a b', "it's"]),
    shellCommand(['rdpull', 'pull', 'x\x1b[2J\n']),
    'rdpull pull http://LOGIN@h/x  # with yours in place of LOGIN',
    'CREDENTIALS_DIRECTORY=/run/credentials/@system rdpull pull https://h/x',
    "systemctl restart 'rdpull@run-machines-root.raw.service'",
    "systemctl restart 'rdpull@run-machines-a\\x2db.raw.service'",
  ])('%s', (retry) => {
    expect(failed({ retry })?.retry).toBe(retry);
  });
});

describe('but not what would be another command, or more than one', () => {
  test.each([
    'rm -rf /',
    'rdpull pull x; rm -rf /',
    'rdpull pull $(reboot)',
    'rdpull pull `reboot`',
    'rdpull pull x && reboot',
    'rdpull pull x | sh',
    'rdpull pull x > /etc/passwd',
    'rdpull pull x\nreboot',
    "rdpull pull 'x' ; reboot #'",
    "rdpull pull $'\\'; reboot #'",
    'rdpull pull x  # $(reboot)\nreboot',
    'LD_PRELOAD=/tmp/x rdpull pull y',
    'systemctl restart ssh',
    "systemctl restart 'rdpull@x' reboot.target",
    'rdpull pull \x1b[2J',
  ])('%j', (retry) => {
    expect(failed({ retry })?.retry).toBeUndefined();
  });
});
