import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { randomUUID } from 'node:crypto';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { ReportServer } from '../fixtures/report-server.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const SECRET = 'hunter2secret';

const work = new TemporaryDirectory();
let content: Uint8Array;
beforeAll(() => {
  content = noiseOf(1024 * 1024);
});
afterAll(() => work[Symbol.dispose]());

/** Pulls from a server, and takes the time, in ms. */
async function pull(url: string, ...args: string[]): Promise<Finished & { milliseconds: number }> {
  const begun = performance.now();
  const outcome = await rdpull([
    ...['pull', '--verify=no', `--image-root=${work.file(randomUUID())}`, '--patience=0', ...args],
    url,
  ]);
  return { ...outcome, milliseconds: performance.now() - begun };
}

const names = (server: ReportServer) => server.events.map(({ event }) => event);

describe.concurrent('a server that asks for reports', () => {
  test('is told by JSON lines who pulls, how far it is, and that it has come', async () => {
    await using server = await ReportServer.start(content, { milliseconds: 2600 });
    const url = `${server.origin}/image.raw`;
    expect((await pull(url)).status).toBe(0);

    const [first] = server.reports;
    expect(first?.path).toBe('/reports?to=me');
    expect(first?.headers['content-type']).toBe('application/jsonl');
    for (const { lines } of server.reports) {
      expect(lines[0]).toHaveProperty(
        'boot',
        run(['cat', '/proc/sys/kernel/random/boot_id']).toString().trim(),
      );
      expect(lines[0]).toHaveProperty('name', run(['hostname']).toString().trim());
    }
    expect(names(server)).toEqual(['pull-started', 'progress', 'pull-finished']);
    const [started, progress, done] = server.events;
    expect(started).toMatchObject({ url, size: content.length, message: `pulling ${url} (1.0 MiB)` });
    expect(progress).toMatchObject({ url, size: content.length });
    expect(Number(progress?.['received'])).toBeWithin(content.length / 2, content.length);
    expect(Number(progress?.['rate'])).toBeGreaterThan(content.length / 4);
    expect(Number(progress?.['at']) - Number(started?.['at'])).toBeGreaterThanOrEqual(1990);
    expect(done).toMatchObject({ received: content.length, written: content.length, verifiedBy: 'nothing' });
  });

  test('hears why it failed, what to try, and how to do it again', async () => {
    await using server = await ReportServer.start(content);
    const url = `${server.origin}/image.raw`;
    const { status } = await pull(url, '--verify=signature');
    expect(status).toBe(13);
    expect(names(server)).toEqual(['failed']);
    const [failed] = server.events;
    expect(failed).toMatchObject({ error: 'manifest-missing', url });
    expect(String(failed?.['message'])).toStartWith('there is no checksum file for http:');
    expect(String(failed?.['hint'])).toContain('sha256sum image.raw > image.raw.sha256');
    expect(String(failed?.['retry'])).toMatch(/^rdpull pull --verify=no .*--verify=signature http:/);
  });

  test('hears it over https, with the certificate checked that the image came with', async () => {
    using authority = CertificateAuthority.root();
    const tls = authority.issue('server', { names: 'IP:127.0.0.1' });
    await using server = await ReportServer.start(content, { tls });
    expect((await pull(`${server.origin}/image.raw`, `--ca=${authority.cert}`)).status).toBe(0);
    expect(names(server)).toEqual(['pull-started', 'pull-finished']);
  });
});

describe.concurrent('no report goes', () => {
  test.each([
    ['to a server that does not ask', undefined],
    ['to another origin', 'http://127.0.0.1:1/reports'],
    ['over http when the answer came over another scheme', 'https://127.0.0.1/'],
    ['to a URL with a login', 'http://user:password@127.0.0.1/reports'],
    ['to what is no URL', 'http://['],
  ])('%s', async (_, header) => {
    await using server = await ReportServer.start(content, { header });
    expect((await pull(`${server.origin}/image.raw`)).status).toBe(0);
    expect(server.reports).toEqual([]);
  });

  test('where a redirect leads to, which nobody has asked for', async () => {
    await using target = await ReportServer.start(content);
    await using server = await ReportServer.start(content, {
      header: undefined,
      redirect: `${target.origin}/image.raw`,
    });
    expect((await pull(`${server.origin}/image.raw`)).status).toBe(0);
    expect([...server.reports, ...target.reports]).toEqual([]);
  });

  test('through a proxy', async () => {
    await using server = await ReportServer.start(content);
    const { stderr } = await pull('http://192.0.2.1/image.raw', `--proxy=${server.origin}`);
    expect(stderr).toContain('pulling http://192.0.2.1/image.raw');
    expect(server.reports).toEqual([]);
  });

  test('with --no-report, nor with no-report in the expression', async () => {
    await using server = await ReportServer.start(content);
    const url = `${server.origin}/image.raw`;
    expect((await pull(url, '--no-report')).status).toBe(0);
    expect((await pull(`raw,machine,no-report:x:${url}`)).status).toBe(0);
    expect(server.reports).toEqual([]);
  });
});

test('no login, and no secret of a URL, is in a report, or sent along with it', async () => {
  await using server = await ReportServer.start(content);
  const file = `${new URL(server.origin).host}/image.raw?signature=${SECRET}&X=1`;
  expect((await pull(`http://user:${SECRET}@${file}`)).status).toBe(0);
  await pull(`http://user:${SECRET}@${file}`, '--verify=signature');
  expect(names(server)).toEqual(['pull-started', 'pull-finished', 'failed']);
  for (const { text, headers, path } of server.reports) {
    expect(text + JSON.stringify(headers) + path).not.toContain(SECRET);
    expect(headers).not.toHaveProperty('authorization');
    expect(text).toContain('image.raw?signature=');
  }
});

describe('a server that cannot be told costs nothing', () => {
  /**
   * How much longer a pull takes that tells how it fares than one that does not, in ms: the quickest of each, in turns. What else the machine
   * does only adds, so that more rounds tell where three are not enough.
   */
  async function heldUp(url: string, most: number): Promise<number> {
    const times = { told: [] as number[], untold: [] as number[] };
    for (let round = 1; ; round++) {
      for (const [kind, args] of [
        ['untold', ['--no-report']],
        ['told', []],
      ] as const) {
        const { status, milliseconds } = await pull(url, ...args);
        expect(status).toBe(0);
        times[kind].push(milliseconds);
      }
      const more = Math.min(...times.told) - Math.min(...times.untold);
      if (round >= 3 && (more < most || round === 10)) return more;
    }
  }

  test.each([
    ['which never answers', 'silence'],
    ['which refuses', 500],
    ['which has none any more', 404],
  ] as const)(
    '%s',
    async (_, reaction) => {
      await using server = await ReportServer.start(content, { reactions: [reaction], milliseconds: 500 });
      const url = `${server.origin}/image.raw`;
      expect((await pull(url, '--no-report')).status).toBe(0);
      expect(server.reports).toEqual([]);
      expect(await heldUp(url, 100)).toBeLessThan(100);
      expect(server.reports.length).toBeGreaterThan(0);
    },
    60_000,
  );

  test('not even a pull that takes no time is held up for longer than a quarter of a second', async () => {
    await using server = await ReportServer.start(content, { reactions: ['silence'] });
    const url = `${server.origin}/image.raw`;
    expect(await heldUp(url, 400)).toBeLessThan(400);
  });

  test('one that is slow, but takes what it is told, hears the end', async () => {
    await using server = await ReportServer.start(content, { milliseconds: 4000, delay: 1500 });
    expect((await pull(`${server.origin}/image.raw`)).status).toBe(0);
    expect(names(server).at(-1)).toBe('pull-finished');
  });

  test('one whose answer was lost on the way hears the end as well', async () => {
    const reactions = [204, 'silence', 204] as const;
    await using server = await ReportServer.start(content, { reactions, milliseconds: 2600 });
    expect((await pull(`${server.origin}/image.raw`)).status).toBe(0);
    expect(names(server)).toEqual(['pull-started', 'pull-finished']);
  });

  test('what could not be told is told when the server is well again', async () => {
    const reactions = [503, 204] as const;
    await using server = await ReportServer.start(content, { reactions, milliseconds: 1500 });
    expect((await pull(`${server.origin}/image.raw`)).status).toBe(0);
    expect(names(server)).toEqual(['pull-started', 'pull-finished']);
  });
});
