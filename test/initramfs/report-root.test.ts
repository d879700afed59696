import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { writeReportPlace } from '../../src/report/report-place.ts';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { sharedLibraries } from '../fixtures/chroot.ts';
import { RDPULL, rdpull } from '../fixtures/executable.ts';
import { type Reaction, ReportServer } from '../fixtures/report-server.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SWITCH_ROOT = path.join(import.meta.dir, '../fixtures/switch-root.py');
const UNIT = '/usr/lib/systemd/system/rdpull-report-root.service';

let work: TemporaryDirectory;
/** The root directory of an initrd with rdpull in it, in RAM. */
let initrd: string;
beforeAll(() => {
  work = new TemporaryDirectory();
  initrd = work.file('initrd');
  fs.mkdirSync(initrd);
  run(['mount', '-t', 'tmpfs', 'tmpfs', initrd]);
  for (const name of ['proc', 'run', 'sysroot', 'dev', 'usr/bin', 'etc']) {
    fs.mkdirSync(path.join(initrd, name), { recursive: true });
  }
  for (const file of [RDPULL, ...sharedLibraries(RDPULL)]) {
    const copy = path.join(initrd, file === RDPULL ? '/usr/bin/rdpull' : file);
    fs.mkdirSync(path.dirname(copy), { recursive: true });
    fs.copyFileSync(file, copy);
  }
  fs.writeFileSync(path.join(initrd, 'etc/initrd-release'), '');
  fs.mkdirSync(path.join(initrd, path.dirname(UNIT)), { recursive: true });
  fs.writeFileSync(path.join(initrd, UNIT), '[Service]\nExecStart=/bin/true\n');
});
afterEach(() => {
  fs.rmSync(path.join(initrd, 'etc/run'), { recursive: true, force: true });
});
afterAll(() => {
  run(['umount', '--lazy', initrd]);
  work[Symbol.dispose]();
});

/** Leaves the initrd; returns what rdpull said, what lies in /run/systemd/system, and the exit status. */
async function switchRoot(how: 'pivot' | 'move' | 'never'): Promise<string[]> {
  const command = ['timeout', '--signal=KILL', '50', 'unshare', '--mount', '--pid', '--fork', '--kill-child'];
  const child = Bun.spawn([...command, 'python3', SWITCH_ROOT, initrd, how, 'report-root', UNIT], {
    env: { PATH: process.env['PATH'] },
    stdout: 'pipe',
    stderr: 'inherit',
  });
  return (await child.stdout.text()).trimEnd().split('\n');
}

/** A pull of the initrd has left a note that this server asks for reports. */
function asked(server: ReportServer, ca: readonly string[] = []): void {
  const place = { url: `${server.origin}/reports`, ca, zone: undefined };
  writeReportPlace(place, path.join(initrd, 'etc/run/rdpull/report-to'));
}

const start = (...reactions: [Reaction, ...Reaction[]]) =>
  ReportServer.start(new Uint8Array(), { reactions });

describe('the server is told of the root', () => {
  test.each(['move', 'pivot'] as const)('when PID 1 has left the initrd: %s', async (how) => {
    await using server = await start(204);
    asked(server);
    expect(await switchRoot(how)).toEqual([
      'rdpull: the root was switched to',
      "units ['rdpull-report-root.service']",
      '0',
    ]);
    expect(server.events.map(({ event, message }) => [event, message])).toEqual([
      ['root-mounted', 'the root is mounted'],
      ['root-switched', 'the root was switched to'],
    ]);
    expect(server.reports[0]?.lines[0]).toHaveProperty('boot');
  });

  test('over https, by the certificates of the initrd, which are not there any more', async () => {
    using authority = CertificateAuthority.root();
    const tls = authority.issue('server', { names: 'IP:127.0.0.1' });
    await using server = await ReportServer.start(new Uint8Array(), { tls });
    fs.copyFileSync(authority.cert, path.join(initrd, 'etc/ca.pem'));
    asked(server, ['/etc/ca.pem']);
    expect((await switchRoot('move'))[0]).toBe('rdpull: the root was switched to');
    expect(server.events.length).toBe(2);
  });

  test('again and again, until it takes it', async () => {
    await using server = await start(503, 503, 204);
    asked(server);
    expect((await switchRoot('move'))[0]).toBe('rdpull: the root was switched to');
    expect(server.events.map(({ event }) => event)).toEqual(['root-mounted', 'root-switched']);
  });
});

test('where the machine stays in its initrd, only that the root is mounted', async () => {
  await using server = await start(204);
  asked(server);
  expect((await switchRoot('never'))[0]).toBe('rdpull: PID 1 has not left the initrd');
  expect(server.events.map(({ event }) => event)).toEqual(['root-mounted']);
});

test('where no server has asked, nothing is told', async () => {
  expect(await switchRoot('never')).toEqual(['rdpull: no server has asked for reports', 'units []', '0']);
});

test('outside of an initrd there is nothing to tell', async () => {
  const { status, stderr } = await rdpull(['report-root']);
  expect([status, stderr]).toEqual([0, 'rdpull: this is no initrd: there is nothing to tell\n']);
});
