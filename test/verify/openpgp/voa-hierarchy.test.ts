import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { loadKeyring } from '../../../src/verify/openpgp/keyring.ts';
import { GpgHome } from '../../fixtures/gpg.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const gpg = new GpgHome();
const [alice, bob] = ['Alice <alice@example.org>', 'Bob <bob@example.org>'].map((name) =>
  gpg.generateKey(name).toLowerCase(),
) as [string, string];
let root: TemporaryDirectory;
let warnings: string[];

beforeEach(() => {
  root?.[Symbol.dispose]();
  root = new TemporaryDirectory();
  warnings = [];
  put('etc/os-release', 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\nIMAGE_ID=kiosk\n');
});
afterAll(() => {
  root[Symbol.dispose]();
  gpg[Symbol.dispose]();
});

function place(name: string): string {
  const file = root.file(name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  return file;
}
const put = (name: string, content: string | Uint8Array) => fs.writeFileSync(place(name), content);
const link = (target: string, name: string) => fs.symlinkSync(target, place(name));
const key = (fingerprint: string) => gpg.exportKeys([fingerprint], { armor: true });
const verifier = (loadPath: string, os: string, fingerprint: string) =>
  `${loadPath}/${os}/image/default/openpgp/${fingerprint}.openpgp`;

function load() {
  return loadKeyring({
    files: [],
    environment: {},
    root: root.path,
    warn: (text) => warnings.push(text.replaceAll(root.path, '')),
  });
}

async function fingerprints(): Promise<string[]> {
  return (await load()).keys.map((each) => each.fingerprint);
}

describe('takes keys for OS images', () => {
  test.each(['etc/voa', 'run/voa', 'usr/local/share/voa', 'usr/share/voa'])('from %s', async (loadPath) => {
    put(verifier(loadPath, 'debian', alice), key(alice));
    expect(await fingerprints()).toEqual([alice]);
  });

  test.each(['debian', 'debian:13', 'debian:13::kiosk'])('for the system called %s', async (os) => {
    put(verifier('usr/share/voa', os, alice), key(alice));
    expect(await fingerprints()).toEqual([alice]);
  });

  test('beside those of the keyring', async () => {
    put(verifier('usr/share/voa', 'debian', alice), key(alice));
    put('etc/systemd/import-pubring.pgp', gpg.exportKeys([bob]));
    expect(await fingerprints()).toEqual([bob, alice]);
  });

  test('through a link to a load path', async () => {
    put(verifier('usr/share/voa', 'debian', alice), key(alice));
    link(
      `../../../../../../usr/share/voa/debian/image/default/openpgp/${alice}.openpgp`,
      verifier('etc/voa', 'debian:13', alice),
    );
    const { keys, files } = await load();
    expect(files.map((file) => file.replace(root.path, ''))).toEqual([
      `/${verifier('etc/voa', 'debian:13', alice)}`,
      `/${verifier('usr/share/voa', 'debian', alice)}`,
    ]);
    // Copies of one key are one.
    expect(keys.map((each) => each.fingerprint)).toEqual([alice]);
    expect(warnings).toEqual([]);
  });

  test('beside one of an algorithm that is not known here, and says so', async () => {
    put(verifier('usr/share/voa', 'debian', alice), key(alice));
    const stranger = verifier('etc/voa', 'debian', bob);
    const body = Buffer.concat([Buffer.from([4]), Buffer.alloc(4), Buffer.from([99]), Buffer.alloc(40)]);
    put(stranger, Buffer.concat([Buffer.from([0xc6, body.length]), body]));
    expect(await fingerprints()).toEqual([alice]);
    expect(warnings).toEqual([
      `/${stranger}: 1 key is passed over, which cannot be used here: 1 of the unknown algorithm 99`,
    ]);
  });

  test("as the initrd's own os-release names the system", async () => {
    put('etc/initrd-release', 'ID=fedora\n');
    put(verifier('usr/share/voa', 'debian', alice), key(alice));
    put(verifier('usr/share/voa', 'fedora', bob), key(bob));
    expect(await fingerprints()).toEqual([bob]);
  });
});

test('a verifier that cannot be a key is told by its name', async () => {
  put(verifier('usr/share/voa', 'debian', alice), Buffer.alloc(17 * 1024 * 1024));
  const error = await fingerprints().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'keyring-malformed' });
  expect(String(error)).toContain(verifier('usr/share/voa', 'debian', alice));
});

describe('does not take', () => {
  test.each([
    ['another system', 'usr/share/voa/arch/image/default/openpgp'],
    ['another version', 'usr/share/voa/debian:12/image/default/openpgp'],
    ['another purpose', 'usr/share/voa/debian/package/default/openpgp'],
    ['a trust anchor', 'usr/share/voa/debian/trust-anchor-image/default/openpgp'],
    ['another context', 'usr/share/voa/debian/image/installation-medium/openpgp'],
  ])('keys of %s', async (_, directory) => {
    put(`${directory}/${alice}.openpgp`, key(alice));
    expect(await fingerprints()).toEqual([]);
  });

  test('a key that is masked anywhere', async () => {
    put(verifier('usr/share/voa', 'debian', alice), key(alice));
    put(verifier('usr/share/voa', 'debian', bob), key(bob));
    link('/dev/null', verifier('etc/voa', 'debian', alice));
    expect(await fingerprints()).toEqual([bob]);
    expect(warnings).toEqual([]);
  });

  test('a key under the name of another one', async () => {
    put(verifier('usr/share/voa', 'debian', bob), key(alice));
    expect(await fingerprints()).toEqual([]);
    expect(warnings).toEqual([
      `/usr/share/voa/debian/image/default/openpgp/${bob}.openpgp is not considered: it does not hold the one key that its name tells`,
    ]);
  });

  test.each([
    ['leads out of the load paths', '/etc/passwd', 'etc/voa', 'the link leads out of the load paths'],
    ['leads nowhere', 'nothing', 'etc/voa', 'the link leads nowhere'],
    ['lies in /run', 'nothing', 'run/voa', 'links below /run/voa do not count'],
  ])('a link that %s', async (_, target, loadPath, why) => {
    link(target, verifier(loadPath, 'debian', alice));
    expect(await fingerprints()).toEqual([]);
    expect(warnings.join()).toContain(why);
  });

  test('anything where os-release would lead out of the hierarchy', async () => {
    put('etc/os-release', 'ID=../../../secret\n');
    put('secret/image/default/openpgp/a.openpgp', key(alice));
    expect(await fingerprints()).toEqual([]);
  });
});
