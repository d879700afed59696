import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { type DigestRequest, type ExpectedDigest, expectedDigest } from '../../src/verify/expected-digest.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { type Identity, ImageSigner } from '../fixtures/image-signer.ts';

const MADE = new Date('2024-01-01T00:00:00Z');
const NOW = new Date('2026-11-22T12:00:00Z');
const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const SUMS = `${B}  other.raw\n${A}  image.raw\n`;
const OWN = `${A}  image.raw\n`;
const PAGE = '<!DOCTYPE html>\n<html><body>Not here</body></html>\n';

let gpg: GpgHome;
let alice: string;
let mallory: string;
let keyring: string;
let signer: ImageSigner;
let builder: Identity;
let server: ReturnType<typeof Bun.serve>;
let base: string;

/** What the server has: a content, or a status without one. */
let files: Record<string, string | Uint8Array | number>;
/** The names that were asked for, in order. */
let asked: string[];

beforeAll(() => {
  gpg = new GpgHome();
  alice = gpg.generateKey('Alice <alice@example.org>', { at: MADE });
  mallory = gpg.generateKey('Mallory <mallory@example.org>', { at: MADE });
  keyring = path.join(gpg.directory, 'import-pubring.pgp');
  fs.writeFileSync(keyring, gpg.exportKeys([alice]));
  signer = new ImageSigner();
  builder = signer.identity();
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const name = new URL(request.url).pathname.slice('/d/'.length);
      asked.push(name);
      const answer = files[name] ?? 404;
      return typeof answer === 'number' ? new Response('no', { status: answer }) : new Response(answer);
    },
  });
  base = `http://127.0.0.1:${server.port}/d`;
});

afterAll(async () => {
  await server.stop(true);
  gpg[Symbol.dispose]();
  signer[Symbol.dispose]();
});

beforeEach(() => {
  files = {};
  asked = [];
});

const sign = (content: string, options: { by?: string; armor?: boolean } = {}) =>
  gpg.sign(content, { by: alice, at: MADE, ...options });

function ask(mode: 'checksum' | 'signature', changes: Partial<DigestRequest> = {}): Promise<ExpectedDigest> {
  return expectedDigest({
    fileUrl: `${base}/image.raw`,
    fileName: 'image.raw',
    requireSignature: mode === 'signature',
    sibling: (name) => `${base}/${name}`,
    fetchSmall: async (url) => {
      const response = await fetch(url);
      if (response.status === 404 || response.status === 403) return undefined;
      if (!response.ok)
        throw new RdpullError('http-server-error', `${url} answered ${response.status}`, 'try later');
      return response.bytes();
    },
    trust: { files: [keyring], certificates: [] },
    now: NOW,
    ...changes,
  });
}

async function refusal(
  mode: 'checksum' | 'signature',
  changes: Partial<DigestRequest> = {},
): Promise<RdpullError> {
  try {
    await ask(mode, changes);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('verify=checksum', () => {
  test('reads FILE.sha256 and asks for nothing else', async () => {
    files = { 'image.raw.sha256': OWN, SHA256SUMS: `${B}  image.raw\n` };
    expect(await ask('checksum')).toMatchObject({
      digest: A,
      manifestUrl: `${base}/image.raw.sha256`,
      signedBy: undefined,
    });
    expect(asked).toEqual(['image.raw.sha256']);
  });

  test.each([
    ['is not found', 404],
    ['is forbidden, as object stores answer for what does not exist', 403],
    ['is a web page', PAGE],
    ['is empty', ''],
  ])('reads SHA256SUMS when FILE.sha256 %s', async (_, answer) => {
    files = { 'image.raw.sha256': answer, SHA256SUMS: SUMS };
    expect(await ask('checksum')).toMatchObject({ digest: A, manifestUrl: `${base}/SHA256SUMS` });
    expect(asked).toEqual(['image.raw.sha256', 'SHA256SUMS']);
  });

  test('needs no keyring', async () => {
    files = { SHA256SUMS: SUMS };
    expect((await ask('checksum', { trust: { files: ['/nowhere'], certificates: [] } })).digest).toBe(A);
  });

  test('fails when the file is not listed, without looking further', async () => {
    files = { 'image.raw.sha256': `${A}  image.raw.xz\n`, SHA256SUMS: SUMS };
    const error = await refusal('checksum');
    expect(error.code).toBe('manifest-not-listed');
    expect(error.message).toBe(
      `${base}/image.raw.sha256 does not list "image.raw"; it does list "image.raw.xz"`,
    );
  });

  test('says which files it asked for and what came of it', async () => {
    files = { 'image.raw.sha256': PAGE };
    const error = await refusal('checksum');
    expect(error.code).toBe('manifest-missing');
    expect(error.message).toBe(
      `there is no checksum file for ${base}/image.raw; asked for ${base}/image.raw.sha256 (a web page), ${base}/SHA256SUMS (not found)`,
    );
    expect(error.hint).toBe('put one beside the file: sha256sum image.raw > image.raw.sha256');
  });
});

describe('verify=signature', () => {
  const signedByAlice = {
    by: 'openpgp' as const,
    userId: 'Alice <alice@example.org>',
    createdAt: MADE,
    validFrom: MADE,
    validUntil: undefined,
  };

  test.each([
    ['image.raw.sha256', 'image.raw.sha256.asc', true, ['image.raw.sha256', 'image.raw.sha256.asc']],
    [
      'image.raw.sha256',
      'image.raw.sha256.gpg',
      false,
      ['image.raw.sha256', 'image.raw.sha256.asc', 'image.raw.sha256.gpg'],
    ],
    ['SHA256SUMS', 'SHA256SUMS.gpg', false, ['image.raw.sha256', 'SHA256SUMS', 'SHA256SUMS.gpg']],
    [
      'SHA256SUMS',
      'SHA256SUMS.asc',
      true,
      ['image.raw.sha256', 'SHA256SUMS', 'SHA256SUMS.gpg', 'SHA256SUMS.asc'],
    ],
  ])('accepts %s with %s', async (manifest, signature, armor, order) => {
    const content = manifest === 'SHA256SUMS' ? SUMS : OWN;
    files = { [manifest]: content, [signature]: sign(content, { armor }) };
    expect(await ask('signature')).toMatchObject({
      digest: A,
      manifestUrl: `${base}/${manifest}`,
      signedBy: { fingerprint: alice, ...signedByAlice },
    });
    expect(asked).toEqual(order);
  });

  test('does not mind what the signature is called: armored .gpg, binary .asc', async () => {
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.gpg': sign(SUMS, { armor: true }) };
    expect((await ask('signature')).digest).toBe(A);
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.asc': sign(SUMS, { armor: false }) };
    expect((await ask('signature')).digest).toBe(A);
  });

  test('passes over a FILE.sha256 that nobody has signed', async () => {
    files = { 'image.raw.sha256': `${B}  image.raw\n`, SHA256SUMS: SUMS, 'SHA256SUMS.gpg': sign(SUMS) };
    expect(await ask('signature')).toMatchObject({ digest: A, manifestUrl: `${base}/SHA256SUMS` });
  });

  test.each([
    ['forbidden', 403],
    ['web pages', PAGE],
    ['empty', ''],
  ])('takes answers that are %s for missing files', async (_, answer) => {
    files = {
      'image.raw.sha256': answer,
      'image.raw.sha256.asc': answer,
      SHA256SUMS: SUMS,
      'SHA256SUMS.gpg': answer,
      'SHA256SUMS.asc': sign(SUMS),
    };
    expect((await ask('signature')).digest).toBe(A);
  });

  test('never takes the signature of the one for that of the other', async () => {
    files = { 'image.raw.sha256': OWN, 'SHA256SUMS.gpg': sign(OWN) };
    expect((await refusal('signature')).code).toBe('signature-missing');
    files = { SHA256SUMS: SUMS, 'image.raw.sha256.asc': sign(SUMS) };
    expect((await refusal('signature')).code).toBe('signature-missing');
  });

  test('fails at a bad signature instead of looking for another', async () => {
    const good = { SHA256SUMS: SUMS, 'SHA256SUMS.gpg': sign(SUMS) };
    files = { ...good, 'image.raw.sha256': OWN, 'image.raw.sha256.asc': sign('something else') };
    expect((await refusal('signature')).code).toBe('signature-bad');
    files = { ...good, 'image.raw.sha256': OWN, 'image.raw.sha256.asc': sign(OWN, { by: mallory }) };
    expect((await refusal('signature')).code).toBe('signature-unknown-key');
    files = { ...good, 'image.raw.sha256': OWN, 'image.raw.sha256.asc': 'garbage' };
    expect((await refusal('signature')).code).toBe('signature-malformed');
    expect(asked).not.toContain('SHA256SUMS');
  });

  test('refuses a tampered SHA256SUMS', async () => {
    files = { SHA256SUMS: SUMS.replaceAll(A, B), 'SHA256SUMS.gpg': sign(SUMS) };
    const error = await refusal('signature');
    expect(error.code).toBe('signature-bad');
    expect(error.message).toBe(
      `the signature ${base}/SHA256SUMS.gpg does not match ${base}/SHA256SUMS: this is not the file that the key ${alice} "Alice <alice@example.org>" signed`,
    );
  });

  test('does not read a checksum file before its signature holds', async () => {
    files = { SHA256SUMS: 'nothing that could be parsed', 'SHA256SUMS.gpg': sign(SUMS) };
    expect((await refusal('signature')).code).toBe('signature-bad');
  });

  test("refuses another file's signed checksum in place of this one's", async () => {
    const other = `${B}  other.raw\n`;
    files = { 'image.raw.sha256': other, 'image.raw.sha256.asc': sign(other) };
    expect((await refusal('signature')).code).toBe('manifest-not-listed');
  });

  test('refuses a signed list that has expired', async () => {
    const stale = `${SUMS}${B}  BEST-BEFORE-2026-01-31\n`;
    files = { SHA256SUMS: stale, 'SHA256SUMS.gpg': sign(stale) };
    const error = await refusal('signature');
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).toBe(
      `the manifest ${base}/SHA256SUMS expired on 2026-01-31; this machine's clock says 2026-11-22T12:00:00.000Z`,
    );
  });

  test('says what is missing when nobody has signed', async () => {
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.asc': PAGE };
    const error = await refusal('signature');
    expect(error.code).toBe('signature-missing');
    expect(error.message).toBe(
      `nobody has signed the checksums of ${base}/image.raw; asked for ${base}/image.raw.sha256 (not found), ${base}/SHA256SUMS (found), ${base}/SHA256SUMS.gpg (not found), ${base}/SHA256SUMS.asc (a web page)`,
    );
    expect(error.hint).toBe(
      'sign them with gpg --armor --detach-sign SHA256SUMS, or do without a signature: verify=checksum',
    );
  });

  test('says what is missing when there is nothing at all', async () => {
    const error = await refusal('signature');
    expect(error.code).toBe('manifest-missing');
    expect(error.message).toBe(
      `there is no checksum file for ${base}/image.raw; asked for ${base}/image.raw.sha256 (not found), ${base}/SHA256SUMS (not found)`,
    );
    expect(error.hint).toBe(
      'put one beside the file: sha256sum image.raw > image.raw.sha256, and sign it: gpg --armor --detach-sign image.raw.sha256',
    );
  });

  test('asks the server for nothing when there is no keyring', async () => {
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.gpg': sign(SUMS) };
    expect((await refusal('signature', { trust: { files: ['/nowhere'], certificates: [] } })).code).toBe(
      'keyring-missing',
    );
    expect(asked).toEqual([]);
  });
});

describe('verify=signature by a certificate', () => {
  const ours = () => ({ trust: { files: [], certificates: [builder.certificate] } });
  const both = () => ({ trust: { files: [keyring], certificates: [builder.certificate] } });

  test.each([
    ['image.raw.sha256', OWN, ['image.raw.sha256', 'image.raw.sha256.p7s']],
    ['SHA256SUMS', SUMS, ['image.raw.sha256', 'SHA256SUMS', 'SHA256SUMS.p7s']],
  ])('accepts %s with a .p7s, and asks for no OpenPGP signature', async (manifest, content, order) => {
    files = { [manifest]: content, [`${manifest}.p7s`]: signer.sign(content, builder) };
    expect(await ask('signature', { ...ours(), now: new Date() })).toMatchObject({
      digest: A,
      signedBy: { by: 'x509', userId: 'CN=Image Builder' },
    });
    expect(asked).toEqual(order);
  });

  test('does not ask for it where there is only a keyring', async () => {
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.p7s': signer.sign(SUMS, builder) };
    expect((await refusal('signature')).code).toBe('signature-missing');
    expect(asked.filter((name) => name.endsWith('.p7s'))).toEqual([]);
  });

  test('takes either where both are trusted', async () => {
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.p7s': signer.sign(SUMS, builder) };
    expect(await ask('signature', { ...both(), now: new Date() })).toMatchObject({
      signedBy: { by: 'x509' },
    });
    files = { SHA256SUMS: SUMS, 'SHA256SUMS.asc': sign(SUMS) };
    expect(await ask('signature', both())).toMatchObject({ signedBy: { by: 'openpgp' } });
  });

  test('never passes over a bad OpenPGP signature for a good .p7s', async () => {
    files = {
      SHA256SUMS: SUMS,
      'SHA256SUMS.asc': sign(OWN),
      'SHA256SUMS.p7s': signer.sign(SUMS, builder),
    };
    expect((await refusal('signature', { ...both(), now: new Date() })).code).toBe('signature-bad');
  });

  test('refuses a tampered list', async () => {
    files = { SHA256SUMS: SUMS.replaceAll('a', 'c'), 'SHA256SUMS.p7s': signer.sign(SUMS, builder) };
    expect((await refusal('signature', { ...ours(), now: new Date() })).code).toBe('signature-bad');
  });
});

test('explains each step', async () => {
  files = { 'image.raw.sha256': OWN, SHA256SUMS: SUMS, 'SHA256SUMS.asc': sign(SUMS), 'SHA256SUMS.gpg': '' };
  const steps: string[] = [];
  await ask('signature', { explain: (text) => steps.push(text) });
  expect(steps.map((step) => step.replaceAll(base, 'URL').replaceAll(gpg.directory, ''))).toEqual([
    'signatures are checked with 1 OpenPGP key from /import-pubring.pgp',
    'URL/image.raw.sha256: found',
    'URL/image.raw.sha256.asc: not found, passed over',
    'URL/image.raw.sha256.gpg: not found, passed over',
    'URL/image.raw.sha256: passed over, for it is not signed',
    'URL/SHA256SUMS: found',
    'URL/SHA256SUMS.gpg: empty, passed over',
    'URL/SHA256SUMS.asc: found',
    `URL/SHA256SUMS.asc: a good signature, made on 2024-01-01T00:00:00.000Z by the OpenPGP key ${alice} "Alice <alice@example.org>", valid from 2024-01-01T00:00:00.000Z for ever`,
    `URL/SHA256SUMS: line 2 promises the SHA-256 ${A} for "image.raw"`,
  ]);
});

test('asks with credentials, and shows none', async () => {
  const secret = base.replace('//', '//user:secret@');
  const changes = {
    sibling: (name: string) => `${secret}/${name}`,
    shown: (url: string) => url.replace('user:secret@', ''),
  };
  const missing = await refusal('signature', changes);
  expect(missing.message).toContain(`${base}/SHA256SUMS (not found)`);
  files = { SHA256SUMS: SUMS };
  const unsigned = await refusal('signature', changes);
  files = { SHA256SUMS: SUMS, 'SHA256SUMS.gpg': sign('something else') };
  const bad = await refusal('signature', changes);
  expect(bad.code).toBe('signature-bad');
  for (const { message, hint } of [missing, unsigned, bad]) expect(message + hint).not.toContain('secret');
  expect((await ask('checksum', changes)).manifestUrl).toBe(`${base}/SHA256SUMS`);
});

describe.each(['checksum', 'signature'] as const)('verify=%s', (mode) => {
  test.each([500, 503, 401])(
    'fails when the server answers %i, instead of taking the file for missing',
    async (status) => {
      for (const broken of [
        'image.raw.sha256',
        ...(mode === 'signature' ? ['image.raw.sha256.asc', 'image.raw.sha256.gpg'] : []),
      ]) {
        files = {
          'image.raw.sha256': OWN,
          SHA256SUMS: SUMS,
          'SHA256SUMS.gpg': sign(SUMS),
          [broken]: status,
        };
        const error = await refusal(mode);
        expect(error.message).toBe(`${base}/${broken} answered ${status}`);
      }
    },
  );

  test.each([undefined, ''])('fails when the URL names no file (%p)', async (fileName) => {
    const error = await refusal(mode, { fileName, fileUrl: 'http://h/' });
    expect(error.code).toBe('manifest-missing');
    expect(error.message).toBe(
      'nothing can vouch for http://h/: the URL names no file that a checksum file could list',
    );
    expect(error.hint).toBe(
      'use a URL that ends in a file name, or give the digest itself with verify=sha256:HEX',
    );
  });
});
