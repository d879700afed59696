import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { blankRuntimeNames } from '../../scripts/runtime-names.ts';
import { SHORT_LIVED } from '../../src/runtime-variables.ts';
import { type Finished, finished, RDPULL, rdpull, startRdpull } from '../fixtures/executable.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const BUN = path.resolve(import.meta.dir, '../../node_modules/.bin/bun');
const work = new TemporaryDirectory();
const trap = work.write('trap.js', 'console.log("TRAPPED");');
const written = work.file('written');
/** Any other program that Bun has compiled: there the variables have their effect. */
const other = work.file('other');
/** One that keeps a function busy. */
const busy = work.file('busy');

beforeAll(async () => {
  const source = work.write('other.ts', 'console.log("other"); setTimeout(() => undefined, 500);');
  run([BUN, 'build', '--compile', '--bytecode', '--format=esm', source, '--outfile', other], {
    cwd: work.path,
  });
  const loop = work.write(
    'busy.ts',
    'let sum = 0; const add = (n: number) => { sum += n % 7; }; for (let n = 0; n < 3e7; n++) add(n); console.log("busy", sum);',
  );
  run([BUN, 'build', '--compile', loop, '--outfile', busy], { cwd: work.path });
  work.write('image.raw.xz', run(['xz'], { input: Buffer.from('an image\n'.repeat(100_000)) }));
  run(['sh', '-c', 'sha256sum image.raw.xz > SHA256SUMS'], { cwd: work.path });
  without = await pull({});
  expect(without.status).toBe(0);
});
afterAll(() => work[Symbol.dispose]());

const PULL = ['pull', '--verify=checksum', '--quiet', '--force', `--image-root=${work.path}`];
const pull = (env: Readonly<Record<string, string>>, executable = RDPULL): Promise<Finished> =>
  rdpull([...PULL, `file://${work.file('image.raw.xz')}`], { env, executable });
let without: Finished;
const OTHER = { status: 0, signal: undefined, stdout: 'other\n', stderr: '' };

/** A variable, and what it makes of another program. */
const EFFECTS: readonly [string, string, (of: Finished) => void][] = [
  ['BUN_OPTIONS', `--preload=${trap}`, ({ stdout }) => expect(stdout).toStartWith('TRAPPED')],
  ['BUN_BE_BUN', '1', ({ stdout }) => expect(stdout).not.toContain('other')],
  ['JSC_SIGNAL_FOR_GC', '9', ({ status }) => expect(status).not.toBe(0)],
  ['BUN_BYTECODE_ORDER_OUT', written, () => expect(fs.existsSync(written)).toBe(true)],
  ['BUN_BYTECODE_DIGEST_OUT', written, () => expect(fs.existsSync(written)).toBe(true)],
];

describe('a variable of the runtime changes nothing', () => {
  test.each(EFFECTS)('%s=%s, which changes other programs', async (name, value, effect) => {
    fs.rmSync(written, { force: true });
    const env = { [name]: value };
    effect(await rdpull([], { executable: other, env }));
    fs.rmSync(written, { force: true });
    expect(await pull(env)).toEqual(without);
    expect((await rdpull(['--version'], { env })).stdout).toStartWith('rdpull ');
    expect(fs.existsSync(written)).toBe(false);
  });

  test.each([
    ['BUN_INSPECT_PRELOAD', trap],
    // Without a JIT there is no FFI.
    ['BUN_JSC_useJIT', '0'],
    ['BUN_CONFIG_VERBOSE_FETCH', '1'],
    ['BUN_FEATURE_FLAG_DISABLE_IPV4', '1'],
    ['BUN_DEBUG', written],
    ['BUN_ENV', 'test'],
    ['NODE_OPTIONS', `--require=${trap}`],
    ['NODE_ENV', 'development'],
    ['NODE_CHANNEL_FD', '3'],
    ['NODE_UNIQUE_ID', '1'],
    ['NODE_V8_COVERAGE', work.file('coverage')],
    ['NODE_DEBUG', 'net,tls,fs'],
    ['UV_THREADPOOL_SIZE', '1'],
    ['GOMAXPROCS', '1'],
    ['MallocLogFile', written],
  ])('%s=%s', async (name, value) => {
    expect(await pull({ [name]: value })).toEqual(without);
    expect(fs.existsSync(written)).toBe(false);
  });

  test('BUN_INSPECT opens no debugger', async () => {
    const port = await freePort();
    const env = { BUN_INSPECT: `ws://127.0.0.1:${port}/x?wait=1` };
    const child = startRdpull([], { executable: other, env });
    expect(await isOpen(port, 3000)).toBe(true);
    child.kill('SIGKILL');
    await finished(child);

    const served = startRdpull(['serve', '--port=0', work.path], { env });
    await untilSays(served.stdout, served.stderr);
    expect(await isOpen(port, 0)).toBe(false);
    served.kill('SIGKILL');
    await finished(served).catch(() => undefined);
  });

  test('and what is not for the runtime stays, as do the arguments and the name it was called by', async () => {
    const link = work.file('systemd-import-generator');
    fs.symlinkSync(RDPULL, link);
    const directory = work.file('units');
    fs.mkdirSync(directory);
    const env = {
      SYSTEMD_PROC_CMDLINE: 'rd.systemd.pull=raw,machine,verify=no:a:http://h/a.raw',
      SYSTEMD_IN_INITRD: '1',
      NODE_ENV: 'production',
      BUN_BE_BUN: '1',
    };
    const { status } = await rdpull([directory, directory, directory], { env, executable: link });
    expect(status).toBe(0);
    expect(fs.readdirSync(directory).some((name) => name.startsWith('rdpull@'))).toBe(true);
  });
});

describe('the one variable that the unit of a pull sets', () => {
  const [name = '', value = ''] = SHORT_LIVED.split('=');
  const compiled = (env: Readonly<Record<string, string>>) =>
    rdpull([], { executable: busy, env: { BUN_JSC_reportCompileTimes: '1', ...env } });

  test('keeps the runtime from compiling with the last of its compilers, and with no other', async () => {
    expect((await compiled({})).stderr).toContain('using FTL with FTL');
    const { stderr, stdout } = await compiled({ [name]: value });
    expect(stdout).toStartWith('busy ');
    expect(stderr).not.toContain('using FTL');
    expect(stderr).toContain('using DFG with DFG');
  });

  test('stays, when others are taken away', async () => {
    const env = { [name]: value, NODE_ENV: 'production' };
    const served = startRdpull(['serve', '--port=0', work.path], { env });
    await untilSays(served.stdout, served.stderr);
    const environment = fs.readFileSync(`/proc/${served.pid}/environ`, 'utf8').split('\0');
    served.kill('SIGKILL');
    await finished(served).catch(() => undefined);
    expect(environment).toContain(SHORT_LIVED);
    expect(environment.join('\n')).not.toContain('NODE_ENV');
  });

  test('changes nothing of a pull', async () => {
    expect(await pull({ [name]: value })).toEqual(without);
  });
});

test('the build fails when the runtime reads them by other names: once blanked, they are not found', () => {
  expect(() => blankRuntimeNames(fs.readFileSync(RDPULL))).toThrow(
    /^the runtime \(Bun [\d.]+\) does not have BUN_OPTIONS once: /,
  );
});

test('the program beside it is as it should be without any variable', async () => {
  expect(await rdpull([], { executable: other })).toEqual(OTHER);
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens nowhere');
  await new Promise((closed) => server.close(closed));
  return address.port;
}

/** Whether somebody listens on a port, within `patience` ms. */
async function isOpen(port: number, patience: number): Promise<boolean> {
  const end = performance.now() + patience;
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open || performance.now() >= end) return open;
    await Bun.sleep(20);
  }
}

/** Waits for the first words of a program. */
async function untilSays(...streams: readonly ReadableStream<Uint8Array>[]): Promise<void> {
  await Promise.race(
    streams.map(async (stream) => {
      const reader = stream.getReader();
      await reader.read();
      reader.releaseLock();
    }),
  );
}
