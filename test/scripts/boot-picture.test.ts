import { describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { formatAsciicast, parseAsciicast } from '../../scripts/boot-picture-recording.ts';
import { drawBoot } from '../../scripts/boot-picture-svg.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SCRIPTS = path.resolve(import.meta.dir, '../../scripts');
const RECORDING = fs.readFileSync(`${SCRIPTS}/boot-picture.cast`, 'utf8');
const PICTURE = fs.readFileSync(`${SCRIPTS}/boot-picture.svg`, 'utf8');

/** Prints each text on the screen of an SVG and where it is, in the order of the file; fails when the file is no XML. */
const TEXTS = `
import sys, xml.etree.ElementTree as tree
for each in tree.parse(sys.argv[1]).iter('{http://www.w3.org/2000/svg}text'):
    if each.get('class') == 'note': continue
    print(each.get('y'), each.get('x'), each.text, sep='\\t')
`;

interface Text {
  readonly y: number;
  readonly x: number;
  readonly text: string;
}

function textsOf(file: string): readonly Text[] {
  return run(['python3', '-c', TEXTS, file])
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [y, x, text = ''] = line.split('\t');
      return { y: Number(y), x: Number(x), text };
    });
}

/** The lines that are seen when nothing moves: of the screen, from the top. */
function stillLines(svg: string, texts: readonly Text[]): readonly string[] {
  const [, width = ''] = /viewBox="0 0 (\d+) /.exec(svg) ?? [];
  const [, tape = ''] = /transform="translate\(0 (-?\d+)\)">/.exec(svg) ?? [];
  const rows = Map.groupBy(
    texts.filter(({ x, y }) => x < Number(width) && y + Number(tape) > 0),
    ({ y }) => y,
  );
  return [...rows.values()].map((runs) => runs.map(({ text }) => text).join(' '));
}

/** Draws what a terminal of 60 columns got, an event each half second. */
async function drawn(...texts: readonly string[]): Promise<{ svg: string; texts: readonly Text[] }> {
  using directory = new TemporaryDirectory();
  const outputs = texts.map((text, index) => ({ seconds: index / 2, text }));
  const svg = await drawBoot({ columns: 60, rows: 10, outputs });
  return { svg, texts: textsOf(directory.write('drawn.svg', svg)) };
}

describe('the picture in README.md', () => {
  test('is what the script draws from the recording beside it', async () => {
    expect(await drawBoot(parseAsciicast(RECORDING))).toBe(PICTURE);
  });

  test('is shown there, with a text for those who do not see it', () => {
    const readme = fs.readFileSync(`${SCRIPTS}/../README.md`, 'utf8');
    expect(readme).toMatch(/^!\[[^\]]{40,}\]\(scripts\/boot-picture\.svg\)$/m);
  });

  test('tells the whole boot, and its last frame the pull', () => {
    const texts = textsOf(`${SCRIPTS}/boot-picture.svg`);
    const all = texts.map(({ text }) => text).join('\n');
    expect(all).toMatch(/URI: http:\/\/\S+\/image\.efi/);
    const still = stillLines(PICTURE, texts).join('\n');
    for (const line of [
      /^rdpull: pulling http:\/\/\S+\/image\.raw\.xz \([\d.]+ MiB\)$/m,
      /^(?:rdpull: )?bootorigin\.raw: \d+ %, [\d.]+ of [\d.]+ MiB, [\d.]+ MiB\/s, \S+ s left, \S+$/m,
      /verified by\s\S+\/SHA256SUMS, signed by Image Builder/,
      /Starting initrd-switch-root\.service/,
      /^rdpull-lab: booted$/m,
      /login:$/m,
    ])
      expect(still).toMatch(line);
  });

  test('needs nothing else, moves for those who like that, and is small', () => {
    expect(PICTURE).not.toMatch(
      /<(?:script|image|use|foreignObject|a|link|!DOCTYPE|!ENTITY)\b|@import|\son\w+=/i,
    );
    expect(PICTURE.match(/url\([^)]*\)/g)).toEqual(['url(#screen)']);
    expect(PICTURE).not.toMatch(/\s(?:xlink:)?(?:href|src)=/i);
    const [, still = '', moving = ''] =
      /<style>(.*)@media \(prefers-reduced-motion:no-preference\)\{(.*)\}\s*<\/style>/s.exec(PICTURE) ?? [];
    expect(moving).toContain('@keyframes');
    expect(still).not.toContain('animation');
    expect(PICTURE.length).toBeLessThan(60_000);
  });
});

describe('a drawing', () => {
  test('takes markup for text', async () => {
    const { texts } = await drawn('<b> & "c" ]]>\r\n');
    expect(texts.map(({ text }) => text)).toContain('<b> & "c" ]]>');
  });

  test('understands what a terminal does: colours, return, erased lines, the line above', async () => {
    const { svg, texts } = await drawn(
      '10 %',
      '\r20 %\r\n',
      '\x1b[31mred\x1b[0m\r\n',
      '\x1bM\r\x1b[Kdone\r\nend',
    );
    expect(stillLines(svg, texts)).toEqual(['20 %', 'done', 'end']);
    expect(texts.map(({ text }) => text)).toContain('10 %');
    expect(svg).toMatch(/class="c1">red</);
  });

  test('scrolls to the last lines when there are more than it has room for', async () => {
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`);
    const { svg, texts } = await drawn(...lines.map((line) => `${line}\r\n`));
    const still = stillLines(svg, texts);
    expect(still.at(-1)).toBe('line 49');
    expect(still.length).toBeLessThan(40);
  });
});

test('a recording is the same after it was written and read', () => {
  const recording = {
    columns: 100,
    rows: 30,
    outputs: [
      { seconds: 0, text: 'a\x1b[K' },
      { seconds: 1.5, text: 'ü\r\n' },
    ],
  };
  expect(parseAsciicast(formatAsciicast(recording, 'title'))).toEqual(recording);
  expect(() => parseAsciicast('{"version":1,"width":80,"height":24}\n')).toThrow('version 2');
});
