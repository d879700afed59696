import { afterAll, expect, test } from 'bun:test';
import { readListSigner } from '../../src/serve/list-signer.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const gpg = new GpgHome();
const directory = new TemporaryDirectory();
afterAll(() => {
  gpg[Symbol.dispose]();
  directory[Symbol.dispose]();
});

test.each(['ed25519', 'rsa2048'])('gpg accepts a signature by its %s key', async (algorithm) => {
  const fingerprint = gpg.generateKey(`Builder ${algorithm}`, { algorithm });
  const signer = await readListSigner(directory.write('key', gpg.exportSecretKey(fingerprint)), undefined);
  expect(signer.fingerprint).toBe(fingerprint);
  const signature = directory.write('SHA256SUMS.gpg', await signer.sign('list\n'));
  gpg.run(['--verify', signature, directory.write('SHA256SUMS', 'list\n')]);
  const changed = directory.write('SHA256SUMS', 'other\n');
  expect(() => gpg.run(['--verify', signature, changed])).toThrow('BAD signature');
});

test('a public key is refused, and so is a file that is not there', async () => {
  gpg.generateKey('Public only');
  const file = directory.write('public', gpg.exportKeys());
  await expect(readListSigner(file, undefined)).rejects.toMatchObject({ code: 'credential-unusable' });
  await expect(readListSigner(directory.file('none'), undefined)).rejects.toMatchObject({
    code: 'credential-unusable',
  });
});
