import { expect, test } from 'bun:test';
import path from 'node:path';
import { Terminal } from '../fixtures/terminal.ts';

const MODULE = path.join(import.meta.dir, '../../src/serve/live-rows.ts');

/** Draws rows in a terminal, with a line that stays above them every now and then, until there are five. */
function drawing(rows: readonly string[], columns: number): Terminal {
  const script = `
    const { createLiveRows } = await import(${JSON.stringify(MODULE)});
    const write = (text) => void process.stderr.write(text);
    const columns = () => process.stderr.columns;
    const output = { isTerminal: true, columns, write, line: write };
    const live = createLiveRows(() => ${JSON.stringify(rows)}, output, () => 12);
    for (let line = 1; line <= 5; line++) {
      live.above(() => write("line " + line + "\\n"));
      await Bun.sleep(400);
    }
    await Bun.sleep(60_000);
  `;
  return new Terminal(`env LC_ALL=C.UTF-8 ${process.execPath} -e '${script}'`, columns);
}

const LINES = ['line 1', 'line 2', 'line 3', 'line 4', 'line 5'];

test('rows of wide and of combining characters stay below the lines that stay, and are cut at the edge', async () => {
  const wide = '計算機'.repeat(10);
  const combined = 'e\u0301'.repeat(40);
  using terminal = drawing([wide, combined, 'node3'], 40);
  const shown = await terminal.rows(/line 5\n(?:.*\n)*.*node3/);
  expect(shown).toEqual([...LINES, wide.slice(0, 19), combined.slice(0, 78), 'node3']);
});

test('rows that a narrower terminal has folded are drawn anew in their place', async () => {
  using terminal = drawing(['計算機'.repeat(6), 'x'.repeat(36), 'node3'], 40);
  await terminal.rows(/line 2\n(?:.*\n)*.*node3/);
  terminal.resize(20);
  const shown = await terminal.rows(/line 5\n(?:.*\n)*.*node3/);
  // tmux moves what is above the cursor out of the screen, to make room for what it folds.
  const lines = LINES.slice(2);
  expect(shown.slice(-6)).toEqual([...lines, '計算機計算機計算機', 'x'.repeat(19), 'node3']);
});
