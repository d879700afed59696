/** Makes scripts/page-picture.png: see scripts/page-picture. */
import path from 'node:path';
import { REPORT_TYPE } from '../src/report/report-line.ts';
import { openPage, startBrowser } from '../test/fixtures/browser.ts';
import { RdpullServe } from '../test/fixtures/rdpull-serve.ts';
import { run } from '../test/fixtures/run.ts';
import { TemporaryDirectory } from '../test/fixtures/temporary-directory.ts';
import { makeUki } from '../test/fixtures/uki.ts';

const PICTURE = path.join(import.meta.dir, 'page-picture.png');
const MIB = 1024 * 1024;
const IMAGE = 612 * MIB;
const TARGET = '/run/machines/image.raw';
const SIGNER = '8F2C1D7A90B35E46C7D8E9F0A1B2C3D4E5F60718';

using served = new TemporaryDirectory();
makeUki(served, 'image.efi', [['.cmdline', 'rd.systemd.pull=raw,machine,bootorigin::']]);
run(['truncate', '-s', String(IMAGE), served.file('image.raw.xz')]);
await using server = await RdpullServe.start(served.path, ['--address=127.0.0.1'], 8081);
const url = server.url('image.raw.xz');

/** What a machine says, from an address of its own on loopback. */
function tell(number: number, ...events: object[]): void {
  const machine = {
    boot: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    ...{ name: `rack1-node${number}`, serial: `CZ2${number}41XK`, mac: `52:54:00:00:00:0${number}` },
    ...{ uki: server.url('image.efi'), firmware: 9000 + 700 * number },
  };
  const body = [machine, ...events].map((line) => JSON.stringify(line)).join('\n');
  const from = ['--interface', `127.0.0.${10 + number}`, '-H', `content-type: ${REPORT_TYPE}`];
  run(['curl', '-sf', ...from, '--data-binary', body, server.url('.rdpull/report')]);
}

/** The firmware of a machine fetches the UKI. */
function fetchUki(number: number): void {
  const from = ['--interface', `127.0.0.${10 + number}`, '-A', 'UefiHttpBoot/1.0', '-o', '/dev/null'];
  run(['curl', '-sf', ...from, server.url('image.efi')]);
}

const started = { event: 'pull-started', at: 6200, target: TARGET, url, size: IMAGE, message: 'pulling' };
const progress = (share: number, rate: number) => ({
  ...{ event: 'progress', at: 9000, target: TARGET, size: IMAGE },
  ...{ received: Math.round(share * IMAGE), rate: rate * MIB },
});
const whole = { received: IMAGE, written: 3 * IMAGE };
const finished = [
  { event: 'pull-finished', at: 14_900, target: TARGET, ...whole, verifiedBy: 'signature', signedBy: SIGNER },
  { event: 'image-exposed', at: 15_300, target: TARGET, loop: '/dev/loop0' },
  { event: 'root-mounted', at: 15_900 },
  { event: 'root-switched', at: 17_100 },
];
const failed = {
  ...{ event: 'failed', at: 15_000, target: TARGET, error: 'checksum-mismatch' },
  message: `${url}: the SHA-256 of what arrived is not the one in SHA256SUMS`,
  hint: 'the image, or SHA256SUMS, has been built anew meanwhile: pull it again',
  retry: `rdpull pull --image-root=/run/machines --blockdev ${url}`,
};
for (const number of [1, 2, 3, 4]) fetchUki(number);
tell(1, started, ...finished);
tell(2, started, progress(0.37, 71));
tell(3, started, progress(0.9, 64), failed);

await using browser = await startBrowser();
await using open = await openPage(browser, server.url(''), {
  viewport: { width: 1000, height: 800 },
  colorScheme: 'light',
});
const { page } = open;
await page.getByText('rack1-node3').first().waitFor();
await page.locator('summary').first().click();
await page.screenshot({ path: PICTURE, animations: 'disabled' });
console.error(`${PICTURE}: ${(await Bun.file(PICTURE).arrayBuffer()).byteLength} bytes`);
