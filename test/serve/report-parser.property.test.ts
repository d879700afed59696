import { expect, test } from 'bun:test';
import {
  type EventLine,
  encodeReport,
  REPORT_EVENTS,
  REPORT_LINES_MAX,
  REPORT_NUMBERS,
  REPORT_TEXT_MAX,
  REPORT_TEXTS,
} from '../../src/report/report-line.ts';
import { parseReport } from '../../src/serve/report-parser.ts';
import { always, mutatedText, requirePrintable } from '../fixtures/property.ts';

const MACHINE = {
  ...{ boot: '7770c9c7-e564-43ea-86f8-79360c0b3466', name: 'node3', serial: 'S-1' },
  ...{ mac: '52:54:00:12:34:56', uki: 'http://h/image.efi', firmware: 2100 },
};
const EVENTS: readonly EventLine[] = REPORT_EVENTS.map((event, at) => ({
  ...{
    event,
    at,
    message: 'pulling http://h/x?token=1',
    url: 'http://h/x',
    target: '/run/machines/x.raw',
    size: 7,
  },
  retry: "rdpull pull 'a b' http://h/x  # with yours in place of LOGIN",
}));
const SAMPLES = EVENTS.map((event) => encodeReport(MACHINE, [event, ...EVENTS.slice(0, 3)]));
const WORDS = [
  ...REPORT_EVENTS,
  ...REPORT_TEXTS,
  ...REPORT_NUMBERS,
  '"boot":',
  '{',
  '}',
  '[',
  '1e999',
  '-1',
  '__proto__',
  '$(x)',
  ';',
];

/** The longest that a text becomes: each of its characters may be shown by an escape. */
const SHOWN_MAX = 12 * REPORT_TEXT_MAX;

test('a report with any changes is none, or one within its bounds that can be shown', () => {
  always(mutatedText(SAMPLES, WORDS), (text) => {
    const report = parseReport(text);
    if (report === undefined) return;
    expect(report.events.length).toBeLessThan(REPORT_LINES_MAX);
    for (const line of [report.machine, ...report.events]) {
      for (const value of Object.values(line)) {
        if (typeof value === 'number') expect(value).toBeWithin(0, Number.MAX_SAFE_INTEGER);
        else {
          requirePrintable(value);
          expect(value.length).toBeLessThan(SHOWN_MAX);
        }
      }
    }
    for (const { retry } of report.events) {
      if (retry !== undefined) expect(retry.replace(/'[^']*'/g, '')).not.toMatch(/[;&|<>`()\n]/);
    }
  });
});
