import { afterAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { startLighttpd } from '../fixtures/lighttpd.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const served = new TemporaryDirectory();
const root = CertificateAuthority.root({ from: '2020-01-01', days: 36_500 });
afterAll(() => {
  served[Symbol.dispose]();
  root[Symbol.dispose]();
});
makeImage(served);

const SECONDS = '2\\d{3}-\\d\\d-\\d\\dT[:\\d]{8}Z';
const WRONG =
  'the clock of this machine says 1970-01-02T00:0\\d:\\d\\dZ, which is before this rdpull was made';
const HOW_TO = `set it with date --set=TIME or timedatectl set-time, to ${SECONDS} or later \\(date --set=@(\\d+)\\)`;

/** Runs a command on a machine whose clock says `time`, as a process that has no right to set it. */
function at(time: string, args: readonly string[], wrapper: readonly string[] = [], env = {}) {
  const harmless = ['setpriv', '--bounding-set', '-sys_time'];
  return rdpull(args, {
    wrapper: [...wrapper, ...harmless, 'faketime', '-f', `@${time} 00:00:00`],
    env: { TZ: 'UTC', ...env },
  });
}
const lines = ({ stderr }: Finished) => stderr.split('\n');

/** Pulls over https at a time. */
async function pullAt(time: string, dates: { readonly from: string; readonly days: number }) {
  using images = new TemporaryDirectory();
  const certificate = root.issue(`server-${dates.days}`, dates);
  await using server = await startLighttpd(served.path, { certificate });
  const url = `${server.url}/image.raw`;
  const args = [
    'pull',
    '--verify=no',
    '--patience=5',
    `--ca=${root.cert}`,
    `--image-root=${images.path}`,
    url,
  ];
  const { status, stderr } = await at(time, args);
  return { status, lines: stderr.replaceAll(url, 'URL').split('\n'), images: images.names() };
}

describe('in 1970, before the executable was made', () => {
  test('a server is not trusted, and the message says how to set the clock', async () => {
    const { status, lines, images } = await pullAt('1970-01-02', { from: '2020-01-01', days: 36_500 });
    expect(lines[0]).toMatch(new RegExp(`^rdpull: warning: ${WRONG}: ${HOW_TO}$`));
    expect(lines[1]).toMatch(
      /^rdpull: error: URL: the server cannot be trusted: its certificate is not valid yet: it is valid from 2020-01-01T00:00:00Z to 2119-12-08T00:00:00Z, and the clock of this machine says 1970-01-02T00:0\d:\d\dZ$/,
    );
    expect(lines[2]).toMatch(
      new RegExp(`^rdpull: try: that clock is wrong, it is before this rdpull was made: ${HOW_TO}$`),
    );
    expect(status).toBe(10);
    expect(images).toEqual([]);
  });

  test.each([
    ['verify', ['verify', '--verify=checksum', served.file('image.raw')]],
    ['check', ['check', 'raw,machine,verify=no:root:http://127.0.0.1:9/x.raw']],
  ])('%s warns as well', async (_, args) => {
    const warnings = lines(await at('1970-01-02', args)).filter((line) => line.includes('the clock of'));
    expect(warnings).toEqual([expect.stringMatching(new RegExp(`^rdpull: warning: ${WRONG}: ${HOW_TO}$`))]);
  });
});

/** strace does not let the call reach the kernel, and says that it has succeeded. */
async function pullInInitrd(time: string, env = { SYSTEMD_IN_INITRD: '1' }) {
  using directory = new TemporaryDirectory();
  const log = directory.file('strace');
  await using server = startWebServer(served.path);
  const calls = ['-e', 'trace=clock_settime,settimeofday,adjtimex,clock_adjtime'];
  const pretence = ['-e', 'inject=clock_settime:retval=0'];
  const args = ['pull', '--verify=no', `--image-root=${directory.path}`, `${server.url}/image.raw`];
  const wrapper = ['strace', '-f', '-qq', ...calls, ...pretence, '-o', log];
  const finished = await at(time, args, wrapper, env);
  const called = fs
    .readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes('time('));
  return { finished, called };
}

describe('in an initrd', () => {
  test('a clock of 1970 is advanced to the time of the build, once, and the pull says so', async () => {
    const { finished, called } = await pullInInitrd('1970-01-02');
    expect(finished.status).toBe(0);
    const [said = ''] = lines(finished);
    expect(said).toMatch(new RegExp(`^rdpull: warning: ${WRONG}: it was advanced to ${SECONDS}$`));
    const built = Date.parse(said.slice(said.lastIndexOf(' ') + 1)) / 1000;
    expect(called).toEqual([
      expect.stringContaining(`clock_settime(CLOCK_REALTIME, {tv_sec=${built}, tv_nsec=0}) = 0 (INJECTED)`),
    ]);
  });

  test('a clock that may be right is left alone, however late it is', async () => {
    const { finished, called } = await pullInInitrd('2100-01-02');
    expect(finished.status).toBe(0);
    expect(finished.stderr).not.toContain('clock');
    expect(called).toEqual([]);
  });

  test('a process that may not set it says how to', async () => {
    const args = ['pull', '--verify=no', '--patience=0', 'http://127.0.0.1:9/image.raw'];
    const finished = await at('1970-01-02', args, [], { SYSTEMD_IN_INITRD: '1' });
    expect(lines(finished)[0]).toMatch(new RegExp(`^rdpull: warning: ${WRONG}: ${HOW_TO}$`));
  });
});

test('outside of an initrd the clock is never set', async () => {
  const { finished, called } = await pullInInitrd('1970-01-02', { SYSTEMD_IN_INITRD: '0' });
  expect(finished.status).toBe(0);
  expect(finished.stderr).toContain('set it with date --set=TIME');
  expect(called).toEqual([]);
});

test('in 2100 the message names the dates, and nothing is let through', async () => {
  const { status, lines, images } = await pullAt('2100-01-02', { from: '2020-01-01', days: 20_000 });
  expect(lines.slice(0, 2)).toEqual([
    expect.stringMatching(
      /^rdpull: error: URL: the server cannot be trusted: its certificate has expired: it is valid from 2020-01-01T00:00:00Z to 2074-10-04T00:00:00Z, and the clock of this machine says 2100-01-02T00:0\d:\d\dZ$/,
    ),
    'rdpull: try: if that clock is right, renew the certificate on the server; else set the clock, with date --set=TIME',
  ]);
  expect(status).toBe(10);
  expect(images).toEqual([]);
});
