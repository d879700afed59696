import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { KEYRING_MAX, keyringPaths, loadKeyring } from '../../../src/verify/openpgp/keyring.ts';
import { GpgHome } from '../../fixtures/gpg.ts';

const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

let gpg: GpgHome;
let alice: string;
let bob: string;
let root: string;

beforeAll(() => {
  gpg = new GpgHome();
  alice = gpg.generateKey('Alice <alice@example.org>');
  bob = gpg.generateKey('Bob <bob@example.org>', { algorithm: 'rsa2048' });
});

afterAll(() => gpg[Symbol.dispose]());

/** A fresh root directory with these files in it. */
function rootWith(files: Record<string, string | Uint8Array>): string {
  root = fs.mkdtempSync(path.join(gpg.directory, 'root-'));
  for (const [name, content] of Object.entries(files)) put(name, content);
  return root;
}

function put(name: string, content: string | Uint8Array): string {
  const file = path.join(root, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}

async function fingerprintsIn(choice: Parameters<typeof loadKeyring>[0]): Promise<string[]> {
  const { keys } = await loadKeyring({ environment: {}, ...choice });
  return keys.map((key) => key.fingerprint.toUpperCase());
}

async function refusal(choice: Parameters<typeof loadKeyring>[0]): Promise<RdpullError> {
  try {
    await loadKeyring({ environment: {}, ...choice });
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('the keyrings that apply are', () => {
  test("the administrator's and the vendor's, the .pgp before the .gpg", () => {
    expect(keyringPaths({ files: [], environment: {} })).toEqual([
      ['/etc/systemd/import-pubring.pgp', '/etc/systemd/import-pubring.gpg'],
      ['/usr/lib/systemd/import-pubring.pgp', '/usr/lib/systemd/import-pubring.gpg'],
    ]);
  });

  test('the one of SYSTEMD_OPENPGP_KEYRING, instead of these', () => {
    const environment = { SYSTEMD_OPENPGP_KEYRING: '/run/keys.pgp' };
    expect(keyringPaths({ files: [], environment })).toEqual([['/run/keys.pgp']]);
  });

  test('those of --keyring=, instead of all others', () => {
    const environment = { SYSTEMD_OPENPGP_KEYRING: '/run/keys.pgp' };
    expect(keyringPaths({ files: ['a.pgp', '/b.pgp'], environment })).toEqual([['a.pgp'], ['/b.pgp']]);
  });

  test('not a relative SYSTEMD_OPENPGP_KEYRING', async () => {
    const error = await refusal({ files: [], environment: { SYSTEMD_OPENPGP_KEYRING: 'keys.pgp' } });
    expect(error.code).toBe('bad-argument');
    expect(error.message).toBe(
      'the environment variable SYSTEMD_OPENPGP_KEYRING is "keys.pgp", which is no absolute path',
    );
  });
});

describe('reads', () => {
  test('both default keyrings and merges them', async () => {
    rootWith({
      'etc/systemd/import-pubring.pgp': gpg.exportKeys([alice]),
      'usr/lib/systemd/import-pubring.pgp': gpg.exportKeys([bob], { armor: true }),
    });
    expect(await fingerprintsIn({ files: [], root })).toEqual([alice, bob]);
  });

  test('import-pubring.gpg only where there is no import-pubring.pgp', async () => {
    rootWith({
      'etc/systemd/import-pubring.pgp': gpg.exportKeys([alice]),
      'etc/systemd/import-pubring.gpg': gpg.exportKeys([bob]),
    });
    expect(await fingerprintsIn({ files: [], root })).toEqual([alice]);
    fs.unlinkSync(path.join(root, 'etc/systemd/import-pubring.pgp'));
    expect(await fingerprintsIn({ files: [], root })).toEqual([bob]);
  });

  test('several armored keys in one file, with text around them', async () => {
    rootWith({});
    const armored = [alice, bob].map((key) => `Key ${key}:\n${gpg.exportKeys([key], { armor: true })}\n`);
    expect(await fingerprintsIn({ files: [put('keys.asc', armored.join('\n'))] })).toEqual([alice, bob]);
  });

  test('several binary keys in one file', async () => {
    rootWith({});
    expect(await fingerprintsIn({ files: [put('keys.gpg', gpg.exportKeys([]))] })).toEqual([alice, bob]);
  });

  test('a keybox, which is what gpg --import makes of a new keyring file', async () => {
    rootWith({ 'etc/systemd/x': '' });
    const file = path.join(root, 'import-pubring.gpg');
    gpg.run(['--no-default-keyring', '--keyring', file, '--import'], gpg.exportKeys([]));
    expect(fs.readFileSync(file).subarray(8, 12).toString()).toBe('KBXf');
    expect(await fingerprintsIn({ files: [file] })).toEqual([alice, bob]);
  });

  test('an empty file, such as a link to /dev/null, as no keys at all', async () => {
    rootWith({ 'usr/lib/systemd/import-pubring.pgp': gpg.exportKeys([bob]), 'etc/systemd/x': '' });
    fs.symlinkSync('/dev/null', path.join(root, 'etc/systemd/import-pubring.pgp'));
    expect(await fingerprintsIn({ files: [], root })).toEqual([bob]);
  });

  test.skipIf(!fs.existsSync(DEBIAN_KEYRING))("Debian's own keyring", async () => {
    expect((await fingerprintsIn({ files: [DEBIAN_KEYRING] })).length).toBeGreaterThan(3);
  });
});

describe('refuses', () => {
  test('to go without one of those that were asked for', async () => {
    rootWith({});
    const error = await refusal({ files: [put('keys.gpg', gpg.exportKeys([])), '/nowhere/keys.gpg'] });
    expect(error.code).toBe('keyring-missing');
    expect(error.message).toBe(
      'there is no keyring to check signatures with: the keyring /nowhere/keys.gpg does not exist',
    );
  });

  test('a file that is no keyring, and says which', async () => {
    rootWith({});
    const error = await refusal({ files: [put('import-pubring.pgp', 'not a key\n')] });
    expect(error.code).toBe('keyring-malformed');
    expect(error.message).toBe(
      `cannot use the keyring ${root}/import-pubring.pgp: it is neither armored nor binary OpenPGP, nor a keybox`,
    );
    expect(error.hint).toBe('write it anew with: gpg --export KEY... > FILE');
  });

  test.each([
    ['cut short', (keys: Buffer) => keys.subarray(0, -7)],
    ['with something behind the keys', (keys: Buffer) => Buffer.concat([keys, Buffer.from('trailing')])],
    ['of random octets', () => Buffer.from('f3a1c09977aa', 'hex')],
  ])('a binary keyring %s', async (_, damage) => {
    rootWith({});
    expect((await refusal({ files: [put('k.gpg', damage(gpg.exportKeys([])))] })).code).toBe(
      'keyring-malformed',
    );
  });

  test.each([4, 5, 40, 48, 100])('a keybox cut after %i octets', async (length) => {
    rootWith({});
    const file = path.join(root, 'k.gpg');
    gpg.run(['--no-default-keyring', '--keyring', file, '--import'], gpg.exportKeys([alice]));
    fs.truncateSync(file, length);
    expect((await refusal({ files: [file] })).code).toBe('keyring-malformed');
  });

  test('a keybox whose blob has no length, without reading forever', async () => {
    rootWith({});
    const keybox = Buffer.alloc(64);
    keybox.writeUInt32BE(32, 0);
    keybox.write('KBXf', 8);
    expect((await refusal({ files: [put('k.gpg', keybox)] })).code).toBe('keyring-malformed');
  });

  test('a secret key', async () => {
    rootWith({});
    const error = await refusal({ files: [put('k.asc', gpg.exportSecretKey(alice))] });
    expect(error.code).toBe('keyring-malformed');
    expect(error.message).toBe(
      `cannot use the keyring ${root}/k.asc: it holds a secret key, which must not be on the machines that only verify`,
    );
  });

  test('a directory', async () => {
    const error = await refusal({ files: [rootWith({})] });
    expect(error.code).toBe('keyring-malformed');
    expect(error.message).toBe(`cannot use the keyring ${root}: it is a directory`);
  });

  test('a file that is too large', async () => {
    rootWith({});
    fs.truncateSync(put('k.gpg', ''), KEYRING_MAX + 1);
    const error = await refusal({ files: [path.join(root, 'k.gpg')] });
    expect(error.message).toBe(`cannot use the keyring ${root}/k.gpg: it is longer than 16777216 bytes`);
  });
});
