import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { readArmor } from '../../../src/verify/openpgp/armor.ts';
import { readDetachedSignatures } from '../../../src/verify/openpgp/detached-signature.ts';
import { keyboxCertificates } from '../../../src/verify/openpgp/keybox.ts';
import { loadKeyring } from '../../../src/verify/openpgp/keyring.ts';
import { GpgHome } from '../../fixtures/gpg.ts';
import {
  always,
  alwaysAsync,
  mutatedBytes,
  mutatedText,
  unlessRefusedAsync,
} from '../../fixtures/property.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const gpg = new GpgHome();
const directory = new TemporaryDirectory();
let binary: Buffer;
let armored: Buffer;
let keybox: Buffer;
let signatures: Buffer[];

beforeAll(() => {
  const key = gpg.generateKey('Test <test@example.com>');
  binary = gpg.run(['--export', key]);
  armored = gpg.run(['--armor', '--export', key]);
  keybox = fs.readFileSync(path.join(gpg.directory, 'pubring.kbx'));
  signatures = [[], ['--armor']].map((options) => gpg.run([...options, '--detach-sign'], 'some content'));
});
afterAll(() => {
  gpg[Symbol.dispose]();
  directory[Symbol.dispose]();
});

test('armored blocks are told from other text, and each is one by itself', () => {
  const words = [
    '-----BEGIN PGP PUBLIC KEY BLOCK-----',
    '-----END PGP PUBLIC KEY BLOCK-----',
    '\n',
    '-----',
    '\r\n',
  ];
  always(mutatedText([armored.toString(), `${armored}\ntext\n${signatures[1]}`], words), (text) => {
    for (const block of readArmor(text).blocks) {
      // The ends of lines have become plain ones, but for those with a carriage return too many.
      const { blocks, hasOtherText } = readArmor(block.text);
      expect({ labels: blocks.map(({ label }) => label), hasOtherText }).toEqual({
        labels: [block.label],
        hasOtherText: false,
      });
    }
  });
});

test('any keybox ends', () => {
  always(mutatedBytes([keybox]), (content) => {
    try {
      expect(keyboxCertificates(content).length).toBeLessThanOrEqual(content.length / 5);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  });
});

test('any file is a keyring, or refused', async () => {
  const file = directory.file('keyring');
  await alwaysAsync(mutatedBytes([binary, armored, keybox]), async (content) => {
    fs.writeFileSync(file, content);
    const keyring = await unlessRefusedAsync(() => loadKeyring({ files: [file] }));
    for (const key of keyring?.keys ?? []) expect(key.fingerprint).toMatch(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);
  });
});

test('any file holds signatures, or is refused', async () => {
  await alwaysAsync(fc.oneof(mutatedBytes(signatures), mutatedBytes([armored, binary])), async (content) => {
    const found = await unlessRefusedAsync(() => readDetachedSignatures(content, 'http://host/x.asc'));
    for (const { issuer } of found ?? []) expect(issuer).toMatch(/^[0-9a-f]{16,64}$/);
  });
});
