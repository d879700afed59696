import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import axe, { type AxeResults } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { openPage, startBrowser } from '../fixtures/browser.ts';
import { report } from '../fixtures/machine-reports.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { RdpullServe } from '../fixtures/rdpull-serve.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeUki } from '../fixtures/uki.ts';

const served = new TemporaryDirectory();
let browser: Browser;
let server: RdpullServe;
beforeAll(async () => {
  makeUki(served, 'image.efi', [['.cmdline', 'rd.systemd.pull=raw,machine,bootorigin::']]);
  served.write('image.raw.xz', noiseOf(1024 * 1024));
  browser = await startBrowser();
}, 60_000);
afterAll(async () => {
  await browser.close();
  served[Symbol.dispose]();
});
beforeEach(async () => {
  server = await RdpullServe.start(served.path);
});
afterEach(() => server[Symbol.asyncDispose]());

const TARGET = '/run/machines/image.raw';
const about = (number: number) => ({
  boot: number,
  name: `node${number}`,
  serial: `S-${number}`,
  mac: `52:54:00:00:00:0${number}`,
});
const tell = (number: number, ...events: object[]) =>
  report(
    server.url('.rdpull/report'),
    { ...about(number), uki: 'http://h/image.efi', firmware: 3000 },
    ...events,
  );
const started = {
  event: 'pull-started',
  at: 5000,
  target: TARGET,
  url: 'http://h/image.raw.xz',
  size: 4_000_000,
  message: 'pulling',
};
const progress = {
  event: 'progress',
  at: 7000,
  target: TARGET,
  size: 4_000_000,
  received: 1_000_000,
  rate: 500_000,
};
const failed = {
  ...{
    event: 'failed',
    at: 8000,
    target: TARGET,
    error: 'checksum-mismatch',
    message: 'the digest is another one',
  },
  ...{ hint: 'build it again', retry: 'rdpull pull --verify=checksum http://h/image.raw.xz' },
};
const signedBy = '0123456789ABCDEF0123456789ABCDEF01234567';
const rest = [
  {
    event: 'pull-finished',
    at: 13_000,
    target: TARGET,
    received: 4_000_000,
    verifiedBy: 'signature',
    signedBy,
  },
  { event: 'image-exposed', at: 13_500, target: TARGET, loop: '/dev/loop0' },
  { event: 'root-mounted', at: 14_000 },
  { event: 'root-switched', at: 15_000 },
];

/** The texts in the cells of a machine's row. */
const cellsOf = (page: Page, name: string) =>
  page.locator('.machine').filter({ hasText: name }).locator('th, td').allTextContents();

/** Waits until a text is there. */
async function seen(page: Page, text: string): Promise<void> {
  await page.getByText(text).first().waitFor({ timeout: 10_000 });
}

test('a browser gets the page at /, and tools the list, as does whoever asks for it', async () => {
  const get = (path: string, accept: string) => fetch(server.url(path), { headers: { accept } });
  const browsers = 'text/html,application/xhtml+xml,*/*;q=0.8';
  expect(await (await get('', browsers)).text()).toContain('<title>rdpull serve</title>');
  for (const [path, accept] of [
    ['', '*/*'],
    ['?files', browsers],
  ] as const) {
    expect(await (await get(path, accept)).text()).toContain('<a href="./image.raw.xz">image.raw.xz</a>');
  }
  const parts = await Promise.all(
    ['', '.rdpull/page.js', '.rdpull/page.css'].map((path) => get(path, browsers)),
  );
  const texts = await Promise.all(parts.map((part) => part.text()));
  expect(texts.join('').length).toBeLessThan(100 * 1024);
  expect(texts.join('')).not.toMatch(/https?:\/\/(?!\/)/);
  for (const part of parts) {
    expect(part.headers.get('content-security-policy')).toStartWith(
      "default-src 'none'; script-src 'self'; ",
    );
    expect(part.headers.get('vary')).toBe('Accept');
  }
});

test('a machine is followed as it boots, without a reload', async () => {
  await using open = await openPage(browser, server.url(''));
  const { page, complaints } = open;
  await seen(page, 'No machine has been heard of yet.');
  await tell(1, started, progress);
  await seen(page, '488 KiB/s, 6.0 s left');
  expect((await cellsOf(page, 'node1')).slice(0, 5)).toEqual([
    'node1127.0.0.1 · S-1',
    'image.raw.xzbooted from image.efi',
    'pulling',
    '977 KiB of 3.8 MiB488 KiB/s, 6.0 s left',
    '',
  ]);
  expect(await page.getByRole('progressbar', { name: 'Progress of node1' }).getAttribute('value')).toBe('25');
  await tell(1, ...rest);
  await seen(page, 'root switched to');
  expect((await cellsOf(page, 'node1'))[4]).toBe(`signature of ${signedBy}`);
  expect(await page.getByText('1 machine, 1 up').isVisible()).toBe(true);
  await page.getByText('Last boots, and where their time went').click();
  const [, ...columns] = await page.locator('.boots tbody tr').first().locator('th, td').allTextContents();
  const times = ['3.0 s', '–', '5.0 s', '8.0 s', '0.5 s', '1.5 s', '18 s'];
  expect(columns).toEqual(['root switched to', 'image.raw.xz', ...times]);
  expect(complaints).toEqual([]);
}, 60_000);

test('a machine that falls silent on its way is said to be silent, until it is heard of again', async () => {
  await using open = await openPage(browser, server.url(''));
  const { page } = open;
  await tell(1, started, progress);
  await seen(page, 'pulling');
  await page.clock.install();
  await page.reload();
  await seen(page, 'pulling');
  expect(await page.getByText('silent since').count()).toBe(0);
  await page.clock.fastForward(40_000);
  await seen(page, 'silent since');
  await page.clock.resume();
  await tell(1, { ...progress, at: 9000 });
  await page.getByText('silent since').waitFor({ state: 'detached' });
}, 60_000);

test('a failure says what failed, what to try, and the command, which the keyboard can copy', async () => {
  await using open = await openPage(browser, server.url(''));
  const { page } = open;
  await tell(1, started);
  await seen(page, 'pulling');
  await tell(1, failed);
  await seen(page, 'the digest is another one (checksum-mismatch)');
  expect(await page.locator('.failure > *').allTextContents()).toEqual([
    ...['What failed', 'the digest is another one (checksum-mismatch)', 'What to try', 'build it again'],
    ...['Again, on the machine', 'rdpull pull --verify=checksum http://h/image.raw.xzCopy'],
  ]);
  expect(await page.title()).toBe('(1 failed) rdpull serve');
  expect(await page.locator('#heard').textContent()).toBe('node1: failed. the digest is another one');
  const reached: string[] = [];
  for (let press = 0; press < 6; press++) {
    await page.keyboard.press('Tab');
    reached.push(
      await page.evaluate(
        'document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent',
      ),
    );
  }
  expect(reached.slice(0, 3)).toEqual([
    'To the machines',
    'Copy the command that tries it again on node1',
    'Last boots, and where their time went',
  ]);
  await page.getByRole('button', { name: 'again on node1' }).press('Enter');
  expect(await page.evaluate('getSelection().toString()')).toBe(
    'rdpull pull --verify=checksum http://h/image.raw.xz',
  );
  // It was tried again.
  await tell(1, { ...started, at: 9000 });
  await page.locator('.failure').waitFor({ state: 'detached' });
}, 60_000);

test('what lies in the directory, with the line for the firmware, also when it is built anew', async () => {
  await using open = await openPage(browser, server.url(''));
  const { page } = open;
  await seen(page, 'image.efi (');
  const facts = (await page.locator('.uki > *').allTextContents()).map((text) =>
    text.replace(/http:\/\/[^/]+\//g, 'http://HOST/'),
  );
  const guest =
    '-netdev user,id=n0,bootfile=http://HOST/image.efi -device virtio-net-pci,netdev=n0,bootindex=0';
  expect(facts).toEqual([
    ...['firmware', 'rdpull boot-entry add --first http://HOST/image.efiCopy', 'QEMU', `${guest}Copy`],
    ...['asks for', 'raw,machine,bootorigin::', 'pulls', 'http://HOST/image.raw.xz (1.0 MiB)'],
  ]);
  served.write('new & <b>.raw', 'x');
  const link = page.getByRole('link', { name: 'new & <b>.raw' });
  await link.waitFor();
  expect(await (await fetch(new URL((await link.getAttribute('href')) ?? '', server.url('')))).text()).toBe(
    'x',
  );
}, 60_000);

test('a server that is gone is said to be gone, and found again', async () => {
  await using open = await openPage(browser, server.url(''));
  const { page } = open;
  await page
    .getByRole('status')
    .filter({ hasText: /^live$/ })
    .waitFor();
  const { port } = server;
  await server.stop();
  await seen(page, 'the server does not answer: what is below is from before');
  await using again = await RdpullServe.start(served.path, [], port);
  expect(again.url('')).not.toBe('');
  await page
    .getByRole('status')
    .filter({ hasText: /^live$/ })
    .waitFor({ timeout: 15_000 });
}, 60_000);

describe('everybody can use it', () => {
  const names = ['node1', 'node2', 'node3'];
  async function threeMachines(): Promise<void> {
    await tell(1, started, progress);
    await tell(2, started, failed);
    await tell(3, started, ...rest);
  }

  test.each([
    ['light', 1200],
    ['dark', 360],
  ] as const)(
    'axe finds nothing: %s, %p pixels wide',
    async (colorScheme, width) => {
      await threeMachines();
      const viewport = { width, height: 800 };
      await using open = await openPage(browser, server.url(''), { colorScheme, viewport, bypassCSP: true });
      const { page } = open;
      for (const name of names) await seen(page, name);
      for (const summary of await page.locator('summary').all()) await summary.click();
      await page.evaluate(axe.source);
      const { violations, passes } =
        await page.evaluate<Pick<AxeResults, 'violations' | 'passes'>>('axe.run()');
      expect(violations).toEqual([]);
      expect(passes.map(({ id }) => id)).toContain('color-contrast');
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    },
    120_000,
  );

  test('who hears it finds a table, also where a narrow screen shows none', async () => {
    await threeMachines();
    for (const width of [1200, 360]) {
      await using open = await openPage(browser, server.url(''), { viewport: { width, height: 800 } });
      const { page } = open;
      for (const name of names) await seen(page, name);
      const table = await page.getByRole('table', { name: 'Machines' }).ariaSnapshot();
      for (const column of ['Machine', 'Image', 'Stage', 'Progress', 'Verified by', 'Since']) {
        expect(table).toContain(`columnheader "${column}"`);
      }
      expect(table).toContain('rowheader "node2 127.0.0.1 · S-2"');
      expect(table).toMatch(/cell "(?:Stage: )?failed"/);
    }
  }, 60_000);
});

describe('a hostile machine', () => {
  test('cannot put anything but text into the page', async () => {
    await using open = await openPage(browser, server.url(''));
    const { page, complaints } = open;
    const evil =
      '"><img src=x onerror="window.owned=1"><script>window.owned=1</script><a href="javascript:owned=1">x</a>';
    const event = Object.fromEntries(
      ['message', 'hint', 'retry', 'target', 'url', 'error', 'verifiedBy', 'signedBy'].map((name) => [
        name,
        evil,
      ]),
    );
    for (const [index, name] of ['failed', 'pull-started', 'pull-finished', 'image-exposed'].entries()) {
      await report(
        server.url('.rdpull/report'),
        { boot: index, name: evil, serial: `${index}${evil}`, uki: evil },
        { ...event, event: name },
      );
    }
    await seen(page, '4 machines');
    expect(await page.locator('#machines img, #machines script, #machines a').count()).toBe(0);
    expect(await page.evaluate('window.owned')).toBeUndefined();
    expect(await page.locator('.machine th span').first().textContent()).toStartWith('"><img src=x onerror=');
    expect(complaints).toEqual([]);
  }, 60_000);

  test('cannot make the page larger than its bounds', async () => {
    await using open = await openPage(browser, server.url(''));
    const { page } = open;
    for (let machine = 0; machine < 600; machine++) {
      const name = `n${machine}`;
      await report(
        server.url('.rdpull/report'),
        { boot: machine, name, serial: name },
        { ...started, message: 'x'.repeat(900) },
      );
    }
    await seen(page, '256 machines');
    expect(await page.locator('.machine').count()).toBe(256);
    await page.getByText('n599', { exact: true }).waitFor();
  }, 120_000);
});
