import { expect, test } from 'bun:test';
import { rdpull } from '../fixtures/executable.ts';
import { startFaultServer } from '../fixtures/fault-server.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { sha256 } from '../transfer/transfer-run.ts';

const FORBIDDEN = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n';

test('a checksum file that is forbidden is told as that', async () => {
  await using server = await startFaultServer((call) =>
    call.send(
      call.path === '/SHA256SUMS' ? FORBIDDEN : 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
    ),
  );
  const { status, stderr } = await rdpull(['verify', '--verify=checksum', `${server.url}/image.raw`]);
  expect(status).toBe(13);
  expect(stderr).toContain(
    `asked for ${server.url}/image.raw.sha256 (not found), ${server.url}/SHA256SUMS (forbidden (403))`,
  );
});

test('a side file that is listed and forbidden is told as that', async () => {
  const image = Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(4092)]);
  const list = `${sha256(image)}  image.raw\n${'0'.repeat(64)}  image.roothash\n`;
  await using server = await startFaultServer((call) => {
    const content = { '/SHA256SUMS': list, '/image.raw': image }[call.path];
    if (content === undefined) return call.send(FORBIDDEN);
    return call
      .send(`HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n`)
      .then(() => call.send(content));
  });
  using images = new TemporaryDirectory();
  const { status, stderr } = await rdpull([
    ...['pull', '--quiet', '--verify=checksum', '--patience=0', `--image-root=${images.path}`],
    `${server.url}/image.raw`,
  ]);
  expect(status).toBe(13);
  expect(stderr).toContain(
    `${server.url}/image.roothash is forbidden (403), though ${server.url}/SHA256SUMS lists`,
  );
});

test('images beside the UKI that are forbidden are not said to be missing', async () => {
  await using server = await startFaultServer((call) => call.send(FORBIDDEN));
  const { stdout } = await rdpull([
    ...['check', '--json', 'raw,machine,verify=no,bootorigin::', `--boot-url=${server.url}/image.efi`],
  ]);
  expect(stdout).toContain('"http-forbidden"');
  expect(stdout).toContain(`the server gives none of these: ${server.url}/image.raw`);
  expect(stdout).toContain('; it forbids (403) all of them');
});
