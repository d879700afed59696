import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { pullParameters, splitWords } from '../../src/request/kernel-command-line.ts';
import { always, mutatedText, requirePrintable } from '../fixtures/property.ts';

const space = fc.string({ unit: fc.constantFrom(' ', '\t', '\n', '\r'), minLength: 1, maxLength: 3 });

/** A word without quotes in it, and a way to write it. */
const word = fc
  .tuple(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
    fc.constantFrom('"', "'"),
    fc.nat(),
    fc.nat(),
  )
  .map(([text, quote, from, to]) => {
    const meant = text.replaceAll(/["']/g, '');
    const [start, end] = [from % (meant.length + 1), to % (meant.length + 1)].toSorted((a, b) => a - b);
    const part = `${meant.slice(0, start)}${quote}${meant.slice(start, end)}${quote}${meant.slice(end)}`;
    const written = /\s/.test(meant.slice(0, start) + meant.slice(end)) ? `${quote}${meant}${quote}` : part;
    return { meant, written };
  });

test('words come back, however they are quoted and parted', () => {
  always(fc.tuple(fc.array(word, { maxLength: 6 }), space), ([words, between]) => {
    const line = words.map(({ written }) => written).join(between);
    expect(splitWords(line)).toEqual(words.map(({ meant }) => meant));
  });
});

const LINES = [
  'BOOT_IMAGE=/vmlinuz root=LABEL=root ro quiet rd.systemd.pull=raw,machine,blockdev:root:http://10.0.0.1:8081/image.raw.xz',
  'rd.systemd.pull=raw,machine,bootorigin:: rd.systemd.pull.success_action=reboot rd.systemd.pull.failure_action=poweroff',
  'systemd.pull="tar,machine:a b:http://host/x.tar" rd.systemd-pull=raw',
];
const WORDS = [
  'rd.systemd.pull=',
  'systemd.pull=',
  'rd.',
  '.success_action=',
  'reboot',
  'none',
  '=',
  '-',
  '_',
];

test('any line is understood or ignored, and what is said about it can be printed', () => {
  always(fc.tuple(mutatedText(LINES, WORDS), fc.boolean()), ([line, inInitrd]) => {
    const { expressions, successAction, failureAction } = pullParameters(line, inInitrd, requirePrintable);
    const words = splitWords(line);
    for (const expression of expressions)
      expect(words.some((each) => each.endsWith(`=${expression}`))).toBe(true);
    // They are written into unit files.
    for (const action of [successAction, failureAction]) expect(action ?? 'none').toMatch(/^[a-z-]+$/);
  });
});

test('what follows on the line does not change the expressions before it', () => {
  const quoteless = mutatedText(LINES, WORDS).map((line) => line.replaceAll(/["']/g, ''));
  always(fc.tuple(quoteless, quoteless), ([first, second]) => {
    const ignore = () => undefined;
    const of = (line: string) => pullParameters(line, true, ignore).expressions;
    expect(of(`${first} ${second}`)).toEqual([...of(first), ...of(second)]);
  });
});
