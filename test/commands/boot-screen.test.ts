import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { MachineConsoles } from '../fixtures/machine-consoles.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { plymouthDuring } from '../fixtures/plymouthd.ts';
import { run } from '../fixtures/run.ts';
import { type SlowServer, startSlowServer } from '../fixtures/slow-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** How long a pull takes, in ms: longer than the pause between two lines on a serial console. */
const DURATION = 12_000;
const SERIAL_PAUSE = 5000;

const target = new TemporaryDirectory();
let slow: SlowServer;
let quick: SlowServer;

beforeAll(async () => {
  const content = noiseOf(3 * 1024 * 1024);
  slow = await startSlowServer(content, DURATION);
  quick = await startSlowServer(content, 1);
});
afterAll(async () => {
  await slow[Symbol.asyncDispose]();
  await quick[Symbol.asyncDispose]();
  target[Symbol.dispose]();
});

const pull = (url: string, ...args: string[]) => [
  ...['pull', '--boot-screen', '--verify=no', `--image-root=${target.file(randomUUID())}`, '--patience=0'],
  ...args,
  `${url}/image.raw`,
];

/** Pulls with these consoles, and waits until they have everything. */
async function pullOn(consoles: MachineConsoles, args: readonly string[]) {
  const outcome = await rdpull(args, { wrapper: consoles.wrapper });
  await consoles.settled();
  return outcome;
}

/** The lines of a console, as they came, without the empty ones. */
const lines = (text: string) => text.split('\r\n').filter((line) => line !== '');

const PROGRESS =
  /^rdpull: image\.raw: \d+ %, [\d.]+ (?:KiB )?of 3\.0 MiB, [\d.]+ [KM]iB\/s, [^,]+ left, 127\.0\.0\.1:\d+$/;

describe.concurrent('with --boot-screen', () => {
  test('all consoles show how it goes on: a serial one by lines, a virtual terminal by one line that moves', async () => {
    await using consoles = await MachineConsoles.open(['tty1', 'ttyS0', 'ttyS1'], 120);
    expect((await pullOn(consoles, pull(slow.url))).status).toBe(0);

    for (const name of ['ttyS0', 'ttyS1']) {
      const text = consoles.text(name);
      expect(text).not.toContain('\x1b');
      const [warning, pulling, ...rest] = lines(text);
      expect(warning).toStartWith('rdpull: warning: verify=no over plain http');
      expect(pulling).toBe(`rdpull: pulling ${slow.url}/image.raw (3.0 MiB)`);
      expect(rest.pop()).toMatch(
        /^rdpull: \S+\/image\.raw: 3\.0 MiB received, 3\.0 MiB written in .*, not verified$/,
      );
      expect(rest.length).toBe(2);
      for (const line of rest) expect(line).toMatch(PROGRESS);
      const times = consoles.times(name, / pulling | left, /g);
      expect(times).toHaveLength(3);
      const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
      expect(Math.min(...pauses)).toBeGreaterThan(SERIAL_PAUSE - 500);
    }

    const states = consoles.text('tty1').split('\r\x1b[K').slice(1, -1);
    expect(states.length).toBeGreaterThan(5);
    expect(states.length).toBeLessThanOrEqual(DURATION / 500 + 1);
    for (const state of states) expect(state).toMatch(PROGRESS);
    expect(lines(consoles.text('tty1')).at(-1)).toMatch(
      /\r\x1b\[Krdpull: \S+: 3\.0 MiB received, .*, not verified$/,
    );
  });

  test('a narrow virtual terminal gets no line that it would have to break', async () => {
    await using consoles = await MachineConsoles.open(['tty1'], 40);
    await pullOn(consoles, pull(slow.url));
    const states = consoles.text('tty1').split('\r\x1b[K').slice(1, -1);
    expect(states.length).toBeGreaterThan(5);
    for (const state of states) {
      expect(state).toMatch(/^image\.raw: \d+ %|^\d+ %/);
      expect(state.length).toBeLessThan(40);
    }
  });

  test('a failure is three lines: what and why, what to try, and the command', async () => {
    await using consoles = await MachineConsoles.open(['tty1', 'ttyS0']);
    const args = pull('http://127.0.0.1:1');
    expect((await pullOn(consoles, args)).status).toBe(10);
    for (const name of ['tty1', 'ttyS0']) {
      expect(lines(consoles.text(name)).slice(-3)).toEqual([
        'rdpull: error: http://127.0.0.1:1/image.raw: the connection was refused',
        expect.stringMatching(/^try: /),
        `retry: rdpull ${args.filter((word) => word !== '--boot-screen').join(' ')}`,
      ]);
    }
  });

  test('systemd, which erases the line above its cursor, erases none of them', async () => {
    await using consoles = await MachineConsoles.open(['tty1', 'ttyS0']);
    await pullOn(consoles, pull(quick.url));
    for (const name of ['tty1', 'ttyS0']) expect(consoles.text(name)).toMatch(/not verified\r\n\r\n$/);
    await pullOn(consoles, pull('http://127.0.0.1:1'));
    for (const name of ['tty1', 'ttyS0']) expect(consoles.text(name)).toMatch(/\r\nretry: .*\r\n\r\n$/);
  });

  test('a console that nobody reads holds nothing up', async () => {
    await using consoles = await MachineConsoles.open(['deafS0', 'ttyS0']);
    const begun = performance.now();
    const { status } = await pullOn(consoles, pull(quick.url));
    expect(status).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(lines(consoles.text('ttyS0')).at(-1)).toContain('3.0 MiB written');
  });

  test('a login in the URL is on no console', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0']);
    await pullOn(consoles, pull('http://somebody:secret@127.0.0.1:1'));
    const text = consoles.text('ttyS0');
    expect(text).toContain('  # with yours in place of LOGIN\r\n');
    expect(text).not.toMatch(/secret|somebody/);
  });

  test('--quiet shows failures only', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0']);
    await pullOn(consoles, pull(quick.url, '--quiet'));
    expect(consoles.text('ttyS0')).toBe('');
    await pullOn(consoles, pull('http://127.0.0.1:1', '--quiet'));
    expect(lines(consoles.text('ttyS0'))).toHaveLength(3);
  });

  test('nobody at a terminal sees it twice', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0']);
    const command = ['dist/rdpull', ...pull('http://127.0.0.1:1')].join(' ');
    run([...consoles.wrapper, 'script', '-qc', `${process.cwd()}/${command} || true`, '/dev/null']);
    expect(consoles.text('ttyS0')).toBe('');
  });
});

describe('plymouth', () => {
  test('shows the same line, and nothing in the end', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0']);
    const messages = await plymouthDuring(async () => {
      expect((await pullOn(consoles, pull(slow.url))).status).toBe(0);
    });
    const shown = messages.filter((message) => message.startsWith('show '));
    expect(shown.length).toBeGreaterThanOrEqual(3);
    expect(shown.length).toBeLessThanOrEqual(DURATION / 2000 + 1);
    for (const message of shown) expect(message).toMatch(/^show .*image\.raw: \d+ %/);
    // Each is taken away before the next one comes, for plymouthd keeps them all.
    expect(messages).toEqual(shown.flatMap((message) => [message, message.replace('show', 'hide')]));
  });

  test('keeps what has failed', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0']);
    const messages = await plymouthDuring(async () => {
      expect((await pullOn(consoles, pull('file:///missing'))).status).toBe(14);
    });
    expect(messages).toEqual([expect.stringMatching(/^show rdpull: error: .*missing.*image\.raw/)]);
  });

  test('keeps it also when a line was shown a moment before', async () => {
    await using consoles = await MachineConsoles.open(['ttyS0']);
    const args = pull(slow.url, `--verify=sha256:${'0'.repeat(64)}`);
    const messages = await plymouthDuring(async () => {
      expect((await pullOn(consoles, args)).status).toBe(13);
    });
    expect(messages.slice(0, -1).some((message) => message.startsWith('show image.raw: '))).toBe(true);
    expect(messages.at(-1)).toMatch(/^show rdpull: error: .*image\.raw/);
  });

  test('that does not run is not spoken to', async () => {
    using directory = new TemporaryDirectory();
    await using consoles = await MachineConsoles.open(['ttyS0']);
    const trace = directory.file('trace');
    const wrapper = [...consoles.wrapper, 'strace', '-f', '-qq', '-e', 'trace=execve', '-o', trace];
    expect((await rdpull(pull(quick.url), { wrapper })).status).toBe(0);
    const calls = fs.readFileSync(trace, 'utf8').match(/execve\("\S*plymouth", .*?\]/g);
    expect(calls).toEqual([expect.stringContaining('"--ping"]')]);
  });
});
