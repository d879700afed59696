import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import { rdpull } from '../fixtures/executable.ts';
import { startFaultServer } from '../fixtures/fault-server.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { sha256 } from '../transfer/transfer-run.ts';

/** What a pull may take at most, in bytes, whatever arrives (SECURITY.md); it takes some 175 MiB. */
const BOUND = 300 * 1024 * 1024;

const gpg = new GpgHome();
const work = new TemporaryDirectory();
afterAll(() => {
  for (const each of [gpg, work]) each[Symbol.dispose]();
});

/** What begins like a squashfs is a file system without a dm-verity of its own. */
const IMAGE = Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(4092)]);
const FILES: Record<string, Uint8Array> = {
  'image.raw': IMAGE,
  'image.roothash': Buffer.from('a'.repeat(64)),
  'image.roothash.p7s': noiseOf(4000),
  'image.verity': noiseOf(10_000_000, 1),
};
const listed = Object.entries(FILES).map(([name, content]) => `${sha256(content)}  ${name}\n`);
for (let other = 0; listed.length < 12_000; other++) listed.push(`${'0'.repeat(64)}  other-${other}\n`);
FILES['SHA256SUMS'] = Buffer.from(listed.join(''));
const by = gpg.generateKey('Builder');
const keyring = work.write('key.pgp', gpg.run(['--export', by]));
FILES['SHA256SUMS.gpg'] = gpg.sign(FILES['SHA256SUMS'], { by });

/** A chunked body of one byte a chunk. */
function byteByByte(content: Uint8Array): Buffer {
  const body = Buffer.alloc(6 * content.length + 5, '1\r\nX\r\n');
  content.forEach((byte, index) => {
    body[6 * index + 3] = byte;
  });
  body.write('0\r\n\r\n', 6 * content.length);
  return body;
}

test('every small file of the protocol may come in chunks of one byte, and takes no more memory for it', async () => {
  await using server = await startFaultServer(async (call) => {
    const content = FILES[call.path.slice(1)];
    if (content === undefined) return call.send('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
    await call.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    await call.send(byteByByte(content));
  });
  const images = work.file('images');
  const peak = work.file('kibibytes');
  const { status, stderr } = await rdpull(
    ['pull', '--quiet', `--keyring=${keyring}`, `--image-root=${images}`, `${server.url}/image.raw`],
    { wrapper: ['time', '-o', peak, '-f', '%M'] },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const name of fs.readdirSync(images)) {
    expect(fs.readFileSync(`${images}/${name}`).equals(FILES[name] ?? Buffer.alloc(0))).toBe(true);
  }
  expect(fs.readdirSync(images).sort()).toEqual(
    Object.keys(FILES).filter((name) => name.startsWith('image')),
  );
  expect(Number(fs.readFileSync(peak, 'utf8')) * 1024).toBeLessThan(BOUND);
});
