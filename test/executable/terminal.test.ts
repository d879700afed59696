import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { randomUUID } from 'node:crypto';
import { RDPULL, rdpull, startRdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { type SlowServer, startSlowServer } from '../fixtures/slow-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

/** How long a pull takes, in ms. */
const DURATION = 2500;

const target = new TemporaryDirectory();
let slow: SlowServer;

beforeAll(async () => {
  slow = await startSlowServer(noiseOf(3 * 1024 * 1024), DURATION);
});
afterAll(async () => {
  await slow[Symbol.asyncDispose]();
  target[Symbol.dispose]();
});

/** A slow pull into a directory of its own: the tests below run side by side. */
function pull(): string[] {
  const directory = target.file(randomUUID());
  return ['pull', '--verify=no', `--image-root=${directory}`, `${slow.url}/image.raw`];
}

/** Fails at once, behind a warning; into a directory of its own, where no other is at work. */
function failing(): string[] {
  const directory = target.file(randomUUID());
  return ['pull', '--verify=no', '--patience=0', `--image-root=${directory}`, 'http://127.0.0.1:1/image.raw'];
}

const ESCAPE = '\x1b';
const RED = '\x1b[31m';
const YELLOW = '\x1b[33m';
const PROGRESS_LINE =
  /^rdpull: image\.raw: \d+ %, [\d.]+ (?:KiB )?of 3\.0 MiB, [\d.]+ [KM]iB\/s, .+ left, 127\.0\.0\.1:\d+$/;

/**
 * What rdpull writes to a terminal, which script(1) makes.
 *
 * @param columns how wide it is; 0 when nobody has said, as on a serial line
 */
async function onTerminal(
  command: readonly string[],
  { columns = 80, env = {} }: { columns?: number; env?: Readonly<Record<string, string>> } = {},
): Promise<{ status: number | undefined; screen: string }> {
  const words = [RDPULL, ...command].map((word) => Bun.$.escape(word)).join(' ');
  const { status, stdout } = await rdpull(
    ['-qec', `stty cols ${columns} rows 0 && exec ${words}`, '/dev/null'],
    { executable: 'script', env: { TERM: 'xterm', SHELL: '/bin/sh', ...env } },
  );
  return { status, screen: stdout.replaceAll('\r\n', '\n') };
}

/** The states of the line that is drawn again and again. */
const drawn = (screen: string): string[] =>
  screen
    .split('\r\x1b[K')
    .slice(1, -1)
    .filter((line) => line !== '');

describe.concurrent('on a terminal', () => {
  test('warnings are yellow and errors red', async () => {
    const { status, screen } = await onTerminal(failing());
    expect(screen).toStartWith(`rdpull: ${YELLOW}warning:${ESCAPE}[0m verify=no over plain http`);
    expect(screen).toContain(
      `\nrdpull: ${RED}error:${ESCAPE}[0m http://127.0.0.1:1/image.raw: the connection was refused\n`,
    );
    expect(status).toBe(10);
  });

  test('NO_COLOR takes the colours away, an empty one does not', async () => {
    const { screen } = await onTerminal(failing(), { env: { NO_COLOR: '1' } });
    expect(screen).toContain('rdpull: error: http://127.0.0.1:1/image.raw: the connection was refused\n');
    expect(screen).not.toContain(ESCAPE);
    expect((await onTerminal(failing(), { env: { NO_COLOR: '' } })).screen).toContain(RED);
  });

  test.each([
    { what: '80 columns, as the console has', columns: 80, width: 79 },
    { what: '200 columns', columns: 200, width: 199 },
    { what: 'an unknown number of columns, as a serial line has', columns: 0, width: 79 },
  ])('a bar is drawn over itself and goes away in the end: $what', async ({ columns, width }) => {
    const { status, screen } = await onTerminal(pull(), { columns });
    const states = drawn(screen);
    // Ten a second at most, and well above one.
    expect(states.length).toBeGreaterThan(5);
    expect(states.length).toBeLessThanOrEqual(DURATION / 100 + 2);
    for (const state of states) {
      expect(state).toMatch(/^\[#*=*-*\] .*\d+ %/);
      expect(state.length).toBeLessThanOrEqual(width);
      expect(state).not.toContain('\n');
    }
    // It grows.
    const lengths = states.map((state) => state.split(/[#=]/).length);
    expect(lengths).toEqual([...lengths].sort((one, other) => one - other));
    expect(lengths.at(-1)).toBeGreaterThan(lengths[0] ?? 0);
    expect(screen).toMatch(
      /\r\x1b\[Krdpull: \S+\/image\.raw: 3\.0 MiB received, 3\.0 MiB written in [\d.]+ s, not verified\n\S+\/image\.raw\n$/,
    );
    expect(status).toBe(0);
  });

  test('NO_COLOR leaves the bar, without colours', async () => {
    const { screen } = await onTerminal(pull(), { columns: 200, env: { NO_COLOR: '1' } });
    expect(drawn(screen).length).toBeGreaterThan(5);
    expect(screen.replaceAll('\x1b[K', '')).not.toContain(ESCAPE);
  });

  test('--quiet draws nothing', async () => {
    const { screen } = await onTerminal([...pull(), '--quiet']);
    expect(screen).toMatch(/^\S+\/image\.raw\n$/);
  });

  test('TERM=dumb gets lines, and no escape codes at all', async () => {
    const { screen } = await onTerminal(pull(), { env: { TERM: 'dumb' } });
    expect(screen).not.toContain(ESCAPE);
    expect(screen.split('\n').filter((line) => PROGRESS_LINE.test(line)).length).toBeGreaterThanOrEqual(2);
    expect((await onTerminal(failing(), { env: { TERM: 'dumb' } })).screen).not.toContain(ESCAPE);
  });
});

describe.concurrent('without a terminal', () => {
  test('there are no escape codes, whatever TERM says', async () => {
    const { stdout, stderr } = await rdpull(failing(), { env: { TERM: 'xterm', COLORTERM: 'truecolor' } });
    expect(stdout + stderr).not.toContain(ESCAPE);
  });

  test('progress is a line a second', async () => {
    const child = startRdpull(pull());
    const times: number[] = [];
    const decoder = new TextDecoder();
    let text = '';
    for await (const bytes of child.stderr) {
      const lines = decoder.decode(bytes, { stream: true });
      text += lines;
      if (/ left, [\d.:]+\n/.test(lines)) times.push(performance.now());
    }
    await child.exited;

    expect(text).not.toContain(ESCAPE);
    const [warning, pulling, ...rest] = text.trimEnd().split('\n');
    expect(warning).toStartWith('rdpull: warning: verify=no over plain http');
    expect(pulling).toBe(`rdpull: pulling ${slow.url}/image.raw (3.0 MiB)`);
    const summary = rest.pop();
    expect(summary).toMatch(/^rdpull: \S+: 3\.0 MiB received, 3\.0 MiB written in [\d.]+ s, not verified$/);
    expect(rest.length).toBeGreaterThanOrEqual(2);
    expect(rest).toEqual(rest.map(() => expect.stringMatching(PROGRESS_LINE)));
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses.length).toBe(rest.length - 1);
    for (const pause of pauses) expect(pause).toBeGreaterThan(900);
  });
});

const WITHOUT_SOCKET = `
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
JOURNAL_STREAM=$(stat -Lc %d:%i /dev/fd/2) exec "$@"`;

describe.concurrent('to the journal, where its socket is missing', () => {
  /** Runs `command` as systemd would, which names the stream that leads to the journal (systemd.exec(5)). */
  const toJournal = (command: readonly string[]) =>
    rdpull(command, {
      wrapper: [...['unshare', '--mount', '--propagation', 'private'], 'sh', '-ec', WITHOUT_SOCKET, 'sh'],
    });

  test('every line has its priority, progress too', async () => {
    const { stderr } = await toJournal(pull());
    const lines = stderr.trimEnd().split('\n');
    expect(lines.length).toBeGreaterThanOrEqual(5);
    expect(lines[0]).toStartWith('<4>warning: verify=no over plain http');
    for (const line of lines.slice(1)) expect(line).toStartWith('<6>');
  });

  test('errors have theirs', async () => {
    const { stderr } = await toJournal([...failing(), '--quiet']);
    expect(stderr.split('\n')).toEqual([
      '<3>error: http://127.0.0.1:1/image.raw: the connection was refused',
      expect.stringMatching(/^<3>try: /),
      '',
    ]);
  });

  test('a JOURNAL_STREAM that was inherited and names another stream changes nothing', async () => {
    const { stderr } = await rdpull(failing(), { env: { JOURNAL_STREAM: '9:12345' } });
    expect(stderr).toBe((await rdpull(failing())).stderr);
  });
});
