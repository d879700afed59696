import { beforeAll, expect, test } from 'bun:test';
import { isWellFormedDer } from '../../../src/verify/cms/der.ts';
import { readSignedData } from '../../../src/verify/cms/signed-data.ts';
import { always, alwaysAsync, mutatedBytes, unlessRefusedAsync } from '../../fixtures/property.ts';
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

test('the start of a value is none', () => {
  const [der = Buffer.alloc(0)] = samples;
  expect(isWellFormedDer(der)).toBe(true);
  for (let length = 0; length < der.length; length++)
    expect(isWellFormedDer(der.subarray(0, length))).toBe(false);
});

test('any bytes are read as DER to their end, or refused', () => {
  always(mutatedBytes(samples), (bytes) => void isWellFormedDer(bytes));
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
