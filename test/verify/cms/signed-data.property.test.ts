import { beforeAll, expect, test } from 'bun:test';
import { readDer } from '../../../src/verify/cms/der.ts';
import { readSignedData } from '../../../src/verify/cms/signed-data.ts';
import { alwaysAsync, mutatedBytes, unlessRefusedAsync } from '../../fixtures/property.ts';
import { run } from '../../fixtures/run.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

/** pkijs takes milliseconds for each. */
const SHARE = 0.1;

let samples: Buffer[];

beforeAll(() => {
  using directory = new TemporaryDirectory();
  const openssl = (...args: string[]) => run(['openssl', ...args], { cwd: directory.path });
  const subject = [
    '-x509',
    '-subj',
    '/CN=test',
    '-days',
    '9',
    '-nodes',
    '-keyout',
    'key',
    '-out',
    'certificate',
  ];
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', ...subject);
  directory.write('file', 'some content');
  const signed = ['cms', '-sign', '-binary', '-in', 'file', '-signer', 'certificate', '-inkey', 'key'];
  samples = ['DER', 'PEM'].map((form) => openssl(...signed, '-outform', form));
});

test('a value is read, and neither the start of one nor one with something behind it', async () => {
  const [der = Buffer.alloc(0)] = samples;
  expect(await readDer(der)).toBeDefined();
  for (let length = 0; length < der.length; length++) {
    await expect(readDer(der.subarray(0, length))).rejects.toThrow();
  }
  await expect(readDer(Buffer.concat([der, Buffer.of(0)]))).rejects.toThrow('something follows it');
});

test('a length that is not written in the shortest way is refused', async () => {
  // SEQUENCE { INTEGER 5 }
  expect(await readDer(Buffer.of(0x30, 3, 2, 1, 5))).toBeDefined();
  for (const bytes of [
    [0x30, 0x81, 3, 2, 1, 5],
    [0x30, 0x80, 2, 1, 5, 0, 0],
    [0x30, 3, 2, 2, 5],
    [0x30, 4, 2, 1, 5],
  ]) {
    await expect(readDer(Buffer.from(bytes))).rejects.toThrow();
  }
});

test('any bytes are read as DER, or refused', async () => {
  await alwaysAsync(
    mutatedBytes(samples),
    (bytes) =>
      readDer(bytes).then(
        () => undefined,
        () => undefined,
      ),
    SHARE,
  );
});

test('any file is a signature, or refused', async () => {
  await alwaysAsync(
    mutatedBytes(samples),
    async (content) => {
      const read = await unlessRefusedAsync(() => readSignedData(content, 'http://host/x.p7s'));
      if (read !== undefined) expect(read.signerInfos.length).toBeGreaterThan(0);
    },
    SHARE,
  );
});
