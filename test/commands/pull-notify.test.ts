import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import http, { type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { finished, rdpull, startRdpull } from '../fixtures/executable.ts';
import { NotifyServer } from '../fixtures/notify-server.ts';
import { run } from '../fixtures/run.ts';
import { makeImage } from '../fixtures/served-image.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const served = new TemporaryDirectory();
let image: Buffer;
let qcow2: Buffer;
let server: Server;
let url: string;

/** Parts that the image is sent in, one every 150 ms. */
const PARTS = 20;

/** Sends the image in three seconds; below /stalled/ it stops at the half, without a word. */
function slowly(request: IncomingMessage, response: ServerResponse): void {
  if (request.url === '/missing.raw') {
    response.writeHead(404).end();
    return;
  }
  if (request.url === '/disk.qcow2') {
    response.writeHead(200, { 'content-length': qcow2.length }).end(qcow2);
    return;
  }
  response.writeHead(200, { 'content-length': image.length });
  const end = request.url?.startsWith('/stalled/') ? PARTS / 2 : PARTS;
  const offset = (part: number) => Math.floor((image.length * part) / PARTS);
  let sent = 0;
  const timer = setInterval(() => {
    response.write(image.subarray(offset(sent), offset(sent + 1)));
    sent++;
    if (sent < end) return;
    clearInterval(timer);
    if (end === PARTS) response.end();
  }, 150);
  response.on('close', () => clearInterval(timer));
}

beforeAll(async () => {
  const raw = makeImage(served);
  image = fs.readFileSync(raw);
  run(['qemu-img', 'convert', '-O', 'qcow2', raw, served.file('disk.qcow2')]);
  qcow2 = fs.readFileSync(served.file('disk.qcow2'));
  server = http.createServer(slowly);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  served[Symbol.dispose]();
});

const percentOf = (message: string) => Number(/^X_IMPORT_PROGRESS=(\d+)%$/m.exec(message)?.[1]);
const MORE_TIME = 'EXTEND_TIMEOUT_USEC=360000000';

describe('the service manager', () => {
  test.each(['notify', '@'])(
    'hears once a second how far it is, and in the end that it is ready: %s',
    async (name) => {
      using target = new TemporaryDirectory();
      const address = name === '@' ? `@rdpull-test${target.path}` : target.file(name);
      await using manager = await NotifyServer.listen(address);
      const begun = performance.now();
      const { status, stderr } = await rdpull(
        ['pull', '--verify=no', '--quiet', `--image-root=${target.file('images')}`, `${url}/slow/image.raw`],
        { env: { NOTIFY_SOCKET: address } },
      );
      const seconds = (performance.now() - begun) / 1000;
      expect({ status, stderr: stderr.replace(/.*verify=no over plain http.*\n/, '') }).toEqual({
        status: 0,
        stderr: '',
      });
      const messages = await manager.received((all) => all.at(-1)?.startsWith('READY=1\n') === true);
      const [first, ...progress] = messages.slice(0, -1);
      expect(first).toBe('STATUS=image.raw: the server answers');
      expect(messages.at(-1)).toMatch(
        /^READY=1\nSTATUS=\S+\/image\.raw: 8\.0 MiB received, .*, not verified$/,
      );
      expect(progress.length).toBeGreaterThanOrEqual(2);
      expect(progress.length).toBeLessThanOrEqual(Math.floor(seconds));
      for (const message of progress) {
        expect(message.split('\n')).toEqual([
          expect.stringMatching(
            /^STATUS=image\.raw: 127\.0\.0\.1:\d+, [\d.]+ ([KM]iB )?of 8\.0 MiB, .*\/s, \d+ %, .* left$/,
          ),
          expect.stringMatching(/^X_IMPORT_PROGRESS=\d+%$/),
          MORE_TIME,
        ]);
      }
      expect(progress.map(percentOf)).toEqual(progress.map(percentOf).sort((one, other) => one - other));
    },
  );

  test('hears that a qcow2 image is converted, which may take its time', async () => {
    using target = new TemporaryDirectory();
    await using manager = await NotifyServer.listen(target.file('notify'));
    const { status } = await rdpull(
      ['pull', '--verify=no', `--image-root=${target.file('images')}`, `${url}/disk.qcow2`],
      { env: { NOTIFY_SOCKET: target.file('notify') } },
    );
    expect(status).toBe(0);
    const messages = await manager.received((all) => all.at(-1)?.startsWith('READY=1\n') === true);
    expect(messages).toContain(
      `STATUS=disk.raw: converting the qcow2 image to a raw one of 8.0 MiB, 0 %\n${MORE_TIME}`,
    );
  });

  test('is not asked for more time by a server that has stopped sending', async () => {
    using target = new TemporaryDirectory();
    await using manager = await NotifyServer.listen(target.file('notify'));
    const child = startRdpull(
      ['pull', '--verify=no', `--image-root=${target.file('images')}`, `${url}/stalled/image.raw`],
      { env: { NOTIFY_SOCKET: target.file('notify') } },
    );
    await manager.received((all) => all.some((message) => message.includes(MORE_TIME)));
    // By now at most one more second of bytes is on its way.
    await Bun.sleep(1500);
    const before = (await manager.received(() => true)).length;
    await Bun.sleep(2500);
    expect((await manager.received(() => true)).length).toBe(before);

    child.kill('SIGTERM');
    expect((await finished(child)).signal).toBe('SIGTERM');
    const messages = await manager.received(() => true);
    expect(messages.length).toBe(before);
    expect(messages.join()).not.toContain('READY=1');
  });

  test('hears why it failed', async () => {
    using target = new TemporaryDirectory();
    await using manager = await NotifyServer.listen(target.file('notify'));
    const { status, stderr } = await rdpull(['pull', '--verify=no', `${url}/missing.raw`], {
      env: { NOTIFY_SOCKET: target.file('notify') },
    });
    expect(status).toBe(11);
    const messages = await manager.received((all) => all.length > 1);
    const [, said] = /error: (.*)/.exec(stderr) ?? [];
    expect(messages).toEqual([`STATUS=${said}`]);
  });

  test.each(['/nonexistent/notify', 'nonsense', `@${'x'.repeat(200)}`])(
    'that cannot be reached does not fail the transfer: %s',
    async (address) => {
      using target = new TemporaryDirectory();
      const { status, stderr } = await rdpull(
        [
          'pull',
          '--verify=no',
          '--verbose',
          `--image-root=${target.path}`,
          `file://${served.file('image.raw')}`,
        ],
        { env: { NOTIFY_SOCKET: address } },
      );
      expect(status).toBe(0);
      expect(stderr.match(/the service manager cannot be told: .*/g)).toHaveLength(1);
      expect(target.names()).toEqual(['image.raw']);
    },
  );
});
