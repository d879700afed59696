import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { RDPULL } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { Terminal } from '../fixtures/terminal.ts';

/*
 * What a person sees in a real terminal, tmux(1), while a download goes on; the text of each is kept beside this file, in
 * screens/. `UPDATE_SCREENS=1 bun test` writes it anew.
 */

const SCREENS = path.join(import.meta.dir, 'screens');
const MIB = 1024 * 1024;
const TOTAL = 8 * MIB;

const target = new TemporaryDirectory();
let server: http.Server;
let url: string;
let packed: Buffer;

/** Sends half of a file, and then hardly anything: so that the screen stays as it is. */
function sendHalf(content: Buffer, response: http.ServerResponse): void {
  response.writeHead(200, { 'content-length': content.length });
  let sent = content.length / 2;
  response.write(content.subarray(0, sent));
  const timer = setInterval(() => response.write(content.subarray(sent, ++sent)), 200);
  response.on('close', () => clearInterval(timer));
}

beforeAll(async () => {
  const raw = noiseOf(TOTAL);
  packed = run(['xz', '-0'], { input: raw });
  packed = packed.subarray(0, packed.length - (packed.length % 2));
  server = http.createServer(({ url: asked = '' }, response) => {
    sendHalf(asked.endsWith('.xz') ? packed : raw, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  target[Symbol.dispose]();
});

/** A terminal in which rdpull pulls. */
function pullingTerminal(file: string, columns: number, locale: string): Terminal {
  const images = target.file(randomUUID());
  return new Terminal(
    `env LC_ALL=${locale} ${RDPULL} pull --verify=no --image-root=${images} ${url}/${file}; sleep 60`,
    columns,
  );
}

/** What is another time otherwise: the port, the rate and what follows from it, how far the decoder
 * has come, and so the parts of the bar and its width. */
function steady(rows: readonly string[]): string {
  const text = rows
    .map((row) =>
      row
        .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
        .replaceAll(/[\d.]+ [KM]?i?B\/s/g, 'RATE/s')
        .replaceAll(/(?:\d+ min )?[\d.]+ s left/g, 'TIME left')
        .replaceAll(/[\d.]+ MiB written/g, 'AMOUNT written')
        .replaceAll(/[█▒]+░+/g, '███░░░')
        .replaceAll(/\[[#=]+-+\]/g, '[###---]'),
    )
    .join('\n');
  return `${text}\n`;
}

describe.concurrent('a terminal', () => {
  test.each<[string, number, string, string]>([
    ['40-columns', 40, 'C.UTF-8', 'image.raw'],
    ['80-columns', 80, 'C.UTF-8', 'image.raw'],
    ['200-columns', 200, 'C.UTF-8', 'image.raw'],
    ['200-columns-xz', 200, 'C.UTF-8', 'image.raw.xz'],
    ['40-columns-ascii', 40, 'C', 'image.raw'],
    ['80-columns-ascii', 80, 'C', 'image.raw'],
    ['200-columns-ascii', 200, 'C', 'image.raw'],
  ])('of %s shows how it goes on', async (name, columns, locale, file) => {
    using terminal = pullingTerminal(file, columns, locale);
    const rows = await terminal.rows(/50 %/);
    const bars = rows.filter((row) => /50 %/.test(row));
    expect(bars).toHaveLength(1);
    expect(Bun.stringWidth(bars[0] ?? '')).toBeLessThan(columns);
    const fixture = path.join(SCREENS, `${name}.txt`);
    if (process.env['UPDATE_SCREENS'] === '1') fs.writeFileSync(fixture, steady(rows));
    expect(steady(rows)).toBe(fs.readFileSync(fixture, 'utf8'));
  });

  test('that becomes narrower, and wider again, has one bar', async () => {
    using terminal = pullingTerminal('image.raw', 100, 'C.UTF-8');
    await terminal.rows(/50 %/);
    for (const columns of [40, 100]) {
      terminal.resize(columns);
      // Until it is drawn anew, what was a line is two where the terminal has folded it.
      let bars: readonly string[] = [];
      const isAnew = () => bars.length === 1 && Bun.stringWidth(bars[0] ?? '') < columns;
      for (let waited = 0; waited < 20_000 && (waited < 1000 || !isAnew()); waited += 500) {
        await Bun.sleep(500);
        bars = (await terminal.rows(/50 %/)).filter((row) => /[█░]/.test(row));
      }
      expect(bars).toHaveLength(1);
      expect(Bun.stringWidth(bars[0] ?? '')).toBeLessThan(columns);
    }
  });
});
