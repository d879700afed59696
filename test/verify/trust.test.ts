import { afterAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { describeTrust, loadTrust, type TrustChoice } from '../../src/verify/trust.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { ImageSigner } from '../fixtures/image-signer.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const gpg = new GpgHome();
const signer = new ImageSigner();
const directory = new TemporaryDirectory();
const alice = gpg.generateKey('Alice <alice@example.org>');
const keys = directory.write('keys.pgp', gpg.exportKeys([alice]));
const { certificate } = signer.identity();

afterAll(() => {
  for (const each of [gpg, signer, directory]) each[Symbol.dispose]();
});

function rootWith(files: Readonly<Record<string, string>>): string {
  const root = fs.mkdtempSync(directory.file('root-'));
  for (const [name, source] of Object.entries(files)) {
    fs.mkdirSync(path.join(root, path.dirname(name)), { recursive: true });
    fs.copyFileSync(source, path.join(root, name));
  }
  return root;
}

const load = (choice: Partial<TrustChoice>) =>
  loadTrust({ files: [], certificates: [], environment: {}, ...choice });

async function refusal(choice: Partial<TrustChoice>): Promise<RdpullError> {
  try {
    await load(choice);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test('keys and certificates of the system count together', async () => {
  const root = rootWith({ 'etc/systemd/import-pubring.pgp': keys, 'etc/verity.d/a.crt': certificate });
  expect(describeTrust(await load({ root })).replaceAll(root, '')).toBe(
    '1 OpenPGP key from /etc/systemd/import-pubring.pgp and 1 certificate from /etc/verity.d/a.crt',
  );
});

test('either is enough', async () => {
  const root = rootWith({ 'etc/verity.d/a.crt': certificate });
  expect((await load({ root })).keyring).toBeUndefined();
  expect(
    (await load({ root: rootWith({ 'etc/systemd/import-pubring.pgp': keys }) })).certificates,
  ).toBeUndefined();
});

test('a file that is named replaces the defaults of both kinds', async () => {
  const root = rootWith({ 'etc/systemd/import-pubring.pgp': keys, 'etc/verity.d/a.crt': certificate });
  expect((await load({ root, files: [keys] })).certificates).toBeUndefined();
  expect((await load({ root, certificates: [certificate] })).keyring).toBeUndefined();
});

test('neither is an error that names every place', async () => {
  const error = await refusal({ root: rootWith({}) });
  expect(error.code).toBe('keyring-missing');
  expect(error.message).toMatch(
    /^there is no key and no certificate to check signatures with: none in \S+\/etc\/systemd\/import-pubring\.pgp, .*\/etc\/voa\/OS\/image\/default\/openpgp\/\*\.openpgp, .*\/etc\/verity\.d\/\*\.crt, /,
  );
  expect(error.hint).toContain(
    "put the signer's public key into /etc/systemd/import-pubring.pgp of the initrd",
  );
  expect(error.hint).toContain('--certificate=FILE');
});

test('a keyring without a key is like none', async () => {
  const empty = directory.write('empty.pgp', '');
  const error = await refusal({ files: [empty] });
  expect(error.code).toBe('keyring-missing');
  expect(error.message).toBe(`there is no key and no certificate to check signatures with: none in ${empty}`);
});
