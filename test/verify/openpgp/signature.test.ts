import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { type Keyring, loadKeyring } from '../../../src/verify/openpgp/keyring.ts';
import { verifySignature } from '../../../src/verify/openpgp/signature.ts';
import type { Signer } from '../../../src/verify/signer.ts';
import { GpgHome } from '../../fixtures/gpg.ts';

const DATA = `${'a'.repeat(64)}  image.raw\n`;
const DATA_URL = 'http://h/SHA256SUMS';
const SIGNATURE_URL = 'http://h/SHA256SUMS.asc';

const MADE = new Date('2024-01-01T00:00:00Z');
const SIGNED = new Date('2024-06-01T00:00:00Z');
const NOW = new Date('2026-11-22T12:00:00Z');

let gpg: GpgHome;
let alice: string;
let bob: string;

beforeAll(() => {
  gpg = new GpgHome();
  alice = gpg.generateKey('Alice <alice@example.org>', { at: MADE });
  bob = gpg.generateKey('Bob <bob@example.org>', { algorithm: 'rsa2048', at: MADE });
});

afterAll(() => gpg[Symbol.dispose]());

/** A keyring of one file for each export, as an administrator would lay them out. */
async function keyringOf(...exports: Uint8Array[]): Promise<Keyring> {
  const directory = fs.mkdtempSync(path.join(gpg.directory, 'keyring-'));
  const files = exports.map((_, index) => path.join(directory, `${index}.gpg`));
  for (const [index, file] of files.entries()) fs.writeFileSync(file, exports[index] ?? '');
  return loadKeyring({ files });
}

interface Case {
  readonly signature: Uint8Array;
  readonly keys: readonly Uint8Array[];
  readonly data?: string | Uint8Array;
  readonly now?: Date;
}

async function verify({ signature, keys, data = DATA, now = NOW }: Case): Promise<Signer> {
  const file = { url: DATA_URL, content: Buffer.from(data), signatureUrl: SIGNATURE_URL, signature };
  return verifySignature(file, await keyringOf(...keys), now);
}

async function refusal(attempt: Case): Promise<RdpullError> {
  try {
    await verify(attempt);
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('accepts a signature', () => {
  test.each([
    ['armored', true],
    ['binary', false],
  ])('by an Ed25519 key, %s', async (_, armor) => {
    const signature = gpg.sign(DATA, { by: alice, armor, at: SIGNED });
    expect(await verify({ signature, keys: [gpg.exportKeys([alice])] })).toEqual({
      by: 'openpgp',
      validFrom: MADE,
      validUntil: undefined,
      fingerprint: alice,
      userId: 'Alice <alice@example.org>',
      createdAt: SIGNED,
    });
  });

  test('by an RSA key', async () => {
    const signature = gpg.sign(DATA, { by: bob, armor: false, at: SIGNED });
    expect((await verify({ signature, keys: [gpg.exportKeys([])] })).fingerprint).toBe(bob);
  });

  test.each(['nistp256', 'nistp384', 'brainpoolP256r1'])('by an ECDSA key on %s', async (algorithm) => {
    const key = gpg.generateKey(`ECDSA ${algorithm}`, { algorithm, at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    expect((await verify({ signature, keys: [gpg.exportKeys([key])] })).fingerprint).toBe(key);
  });

  test('by a signing subkey, and tells the primary key', async () => {
    const primary = gpg.generateKey('Certifier', { usage: 'cert', at: MADE });
    gpg.addSubkey(primary, { at: MADE });
    const signature = gpg.sign(DATA, { by: primary, at: SIGNED });
    expect(await verify({ signature, keys: [gpg.exportKeys([primary])] })).toMatchObject({
      fingerprint: primary,
      userId: 'Certifier',
    });
  });

  test.each(['SHA256', 'SHA384', 'SHA512'])('with the digest %s', async (digest) => {
    const signature = gpg.sign(DATA, { by: alice, digest, at: SIGNED });
    expect((await verify({ signature, keys: [gpg.exportKeys([alice])] })).fingerprint).toBe(alice);
  });

  test('in text mode, whatever the line endings', async () => {
    const signature = gpg.sign(DATA, { by: alice, at: SIGNED, options: ['--textmode'] });
    const keys = [gpg.exportKeys([alice])];
    expect((await verify({ signature, keys })).fingerprint).toBe(alice);
    expect((await verify({ signature, keys, data: DATA.replace('\n', '\r\n') })).fingerprint).toBe(alice);
    expect((await refusal({ signature, keys, data: DATA.replace('image', 'other') })).code).toBe(
      'signature-bad',
    );
  });

  test('over bytes that are no text', async () => {
    const data = Uint8Array.of(0, 0xff, 0x0d, 0x0a, 0x80, 0x0a);
    const signature = gpg.sign(data, { by: alice, at: SIGNED });
    expect((await verify({ signature, keys: [gpg.exportKeys([alice])], data })).fingerprint).toBe(alice);
  });

  test('beside one by a key that nobody knows', async () => {
    const signature = gpg.sign(DATA, { by: [alice, bob], at: SIGNED });
    for (const known of [alice, bob]) {
      expect((await verify({ signature, keys: [gpg.exportKeys([known])] })).fingerprint).toBe(known);
    }
  });

  test('that carries its new subkey along, when the keyring has the primary key (systemd TEST-72)', async () => {
    const primary = gpg.generateKey('Rotator <r@example.org>', { usage: 'cert', at: MADE });
    gpg.addSubkey(primary, { at: MADE });
    const keys = [gpg.exportKeys([primary])];
    const subkey = gpg.addSubkey(primary, { at: new Date('2024-03-01') });
    const by = { by: `${subkey}!`, at: SIGNED };

    const carrying = gpg.sign(DATA, { ...by, options: ['--include-key-block'] });
    expect((await verify({ signature: carrying, keys })).fingerprint).toBe(primary);
    expect((await refusal({ signature: gpg.sign(DATA, by), keys })).code).toBe('signature-unknown-key');
    expect((await refusal({ signature: carrying, keys: [gpg.exportKeys([alice])] })).code).toBe(
      'signature-unknown-key',
    );
  });

  test('from before the life of its key was extended', async () => {
    const key = gpg.generateKey('Extended', { expires: '1y', at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    const old = gpg.exportKeys([key]);
    gpg.setExpiry(key, '5y', new Date('2024-12-01'));
    const renewed = gpg.exportKeys([key]);
    expect((await refusal({ signature, keys: [old] })).code).toBe('signature-key-expired');
    expect((await verify({ signature, keys: [renewed] })).fingerprint).toBe(key);
    expect((await verify({ signature, keys: [old, renewed] })).fingerprint).toBe(key);
    expect((await verify({ signature, keys: [renewed, old] })).fingerprint).toBe(key);
  });

  test('made a little ahead of this clock', async () => {
    const signature = gpg.sign(DATA, { by: alice, at: SIGNED });
    const now = new Date(SIGNED.getTime() - 29 * 60_000);
    expect((await verify({ signature, keys: [gpg.exportKeys([alice])], now })).fingerprint).toBe(alice);
  });

  test('made with a fresh key a little ahead of this clock', async () => {
    const key = gpg.generateKey('Fresh', { at: SIGNED });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    const now = new Date(SIGNED.getTime() - 29 * 60_000);
    expect((await verify({ signature, keys: [gpg.exportKeys([key])], now })).fingerprint).toBe(key);
  });

  test('with its own expiry still to come', async () => {
    const signature = gpg.sign(DATA, { by: alice, expires: '5y', at: SIGNED });
    expect((await verify({ signature, keys: [gpg.exportKeys([alice])] })).fingerprint).toBe(alice);
  });
});

describe('does not accept', () => {
  test('a changed file', async () => {
    const signature = gpg.sign(DATA, { by: alice, at: SIGNED });
    const error = await refusal({ signature, keys: [gpg.exportKeys([alice])], data: DATA.replace('a', 'b') });
    expect(error.code).toBe('signature-bad');
    expect(error.exitStatus).toBe(13);
    expect(error.message).toBe(
      `the signature http://h/SHA256SUMS.asc does not match http://h/SHA256SUMS: this is not the file that the key ${alice} "Alice <alice@example.org>" signed`,
    );
    expect(error.hint).toBe('sign the file again if you changed it; if you did not, find out who did');
  });

  test.each([
    ['nothing at all', ''],
    ['a missing last newline', DATA.trimEnd()],
    ['one more byte', `${DATA}\n`],
    ['other line endings', DATA.replace('\n', '\r\n')],
  ])('a file with %s', async (_, data) => {
    const signature = gpg.sign(DATA, { by: bob, at: SIGNED });
    expect((await refusal({ signature, keys: [gpg.exportKeys([bob])], data })).code).toBe('signature-bad');
  });

  test('a flipped bit anywhere in a signature', async () => {
    const keyring = await keyringOf(gpg.exportKeys([]));
    for (const by of [alice, bob]) {
      const signature = gpg.sign(DATA, { by, armor: false, at: SIGNED });
      for (let bit = 0; bit < signature.length * 8; bit += 5) {
        const changed = Buffer.from(signature);
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
        const file = {
          url: DATA_URL,
          content: Buffer.from(DATA),
          signatureUrl: SIGNATURE_URL,
          signature: changed,
        };
        const outcome = await verifySignature(file, keyring, NOW).catch((error: unknown) => error);
        if (!(outcome instanceof RdpullError)) {
          expect(outcome).toMatchObject({ fingerprint: by, createdAt: SIGNED });
          expect(unsigned(signature)).toContain(bit >> 3);
        }
      }
    }
  });

  test('a signature by a key that is in no keyring', async () => {
    const signature = gpg.sign(DATA, { by: alice, at: SIGNED });
    const keyring = await keyringOf(gpg.exportKeys([bob]));
    const error = await refusal({ signature, keys: [gpg.exportKeys([bob])] });
    expect(error.code).toBe('signature-unknown-key');
    expect(error.message.replace(/keyring-\w+/, '*')).toBe(
      `the signature http://h/SHA256SUMS.asc was made by the key ${alice}, which is not in ${gpg.directory}/*/0.gpg`,
    );
    expect(keyring.files).toHaveLength(1);
    expect(error.hint).toBe(
      "if the key is yours, add it to the initrd's /etc/systemd/import-pubring.pgp or name its file with --keyring=FILE; if not, find out who signed",
    );
  });

  test('a good signature beside one by a trusted key over something else, in any order', async () => {
    const keys = [gpg.exportKeys([])];
    for (const armor of [true, false]) {
      const wrong = gpg.sign('something else', { by: alice, armor, at: SIGNED });
      const good = gpg.sign(DATA, { by: bob, armor, at: SIGNED });
      for (const order of [
        [wrong, good],
        [good, wrong],
      ]) {
        const error = await refusal({ signature: Buffer.concat(order), keys });
        expect(error.code).toBe('signature-bad');
        expect(error.message).toContain(`this is not the file that the key ${alice}`);
      }
      // By a key that is not trusted it says nothing.
      const signature = Buffer.concat([wrong, good]);
      expect((await verify({ signature, keys: [gpg.exportKeys([bob])] })).fingerprint).toBe(bob);
    }
  });

  test('several signatures none of which is good, and tells the one that says most', async () => {
    const stranger = gpg.sign(DATA, { by: alice, armor: false, at: SIGNED });
    const wrong = gpg.sign('something else', { by: bob, armor: false, at: SIGNED });
    const keys = [gpg.exportKeys([bob])];
    expect((await refusal({ signature: Buffer.concat([stranger, wrong]), keys })).code).toBe('signature-bad');
    expect((await refusal({ signature: Buffer.concat([stranger, stranger]), keys })).code).toBe(
      'signature-unknown-key',
    );
  });

  test.each(['SHA1', 'RIPEMD160', 'MD5', 'SHA224'])('the digest %s', async (digest) => {
    const signature = gpg.sign(DATA, { by: bob, digest, at: SIGNED });
    const error = await refusal({ signature, keys: [gpg.exportKeys([bob])] });
    expect(error.code).toBe('signature-weak');
    expect(error.message).toBe(
      `the signature http://h/SHA256SUMS.asc uses the digest ${digest}, which does not protect against forgery`,
    );
    expect(error.hint).toBe('sign the file again with: gpg --digest-algo SHA512 --armor --detach-sign FILE');
  });

  test.each(['rsa1024', 'dsa2048'])('a weak key: %s', async (algorithm) => {
    const key = gpg.generateKey(`Weak ${algorithm}`, { algorithm, at: MADE });
    const signature = gpg.sign(DATA, { by: key, digest: 'SHA256', at: SIGNED });
    const error = await refusal({ signature, keys: [gpg.exportKeys([key])] });
    expect(error.code).toBe('signature-weak');
    expect(error.message).toStartWith(
      `the key ${key} "Weak ${algorithm}", which made the signature http://h/SHA256SUMS.asc, may not sign files: `,
    );
    expect(error.message).toContain('considered too weak');
  });
});

describe('does not accept a key', () => {
  test.each([
    ['without a reason', 0],
    ['because it was compromised', 1],
    ['because there is a newer one', 2],
    ['because it is no longer used', 3],
  ])('that was revoked %s, even after it signed', async (_, reason) => {
    const key = gpg.generateKey(`Revoked ${reason} <r@example.org>`, { at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    const before = gpg.exportKeys([key]);
    gpg.revoke(key, { reason, at: new Date('2025-02-03T00:00:00Z') });
    const after = gpg.exportKeys([key]);

    expect((await verify({ signature, keys: [before] })).fingerprint).toBe(key);
    const error = await refusal({ signature, keys: [after] });
    expect(error.code).toBe('signature-key-revoked');
    expect(error.message).toMatch(
      new RegExp(
        `^the key ${key} "Revoked ${reason} <r@example.org>", which made the signature http://h/SHA256SUMS.asc, was revoked on 2025-02-03T00:00:0\\d.000Z$`,
      ),
    );
    expect(error.hint).toBe(
      'sign the file again with a key that is not revoked, and put that key into the keyring',
    );

    // Wherever the revocation is, and even if this clock is behind it.
    expect((await refusal({ signature, keys: [before, after] })).code).toBe('signature-key-revoked');
    expect((await refusal({ signature, keys: [after, before] })).code).toBe('signature-key-revoked');
    const now = new Date('2024-07-01');
    expect((await refusal({ signature, keys: [before, after], now })).code).toBe('signature-key-revoked');
  });

  test.each([1, 2, 3])('with a revocation (reason %i) that is dated after this clock', async (reason) => {
    const key = gpg.generateKey(`Revoked later ${reason}`, { at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    gpg.revoke(key, { reason, at: new Date('2099-01-01') });
    const error = await refusal({ signature, keys: [gpg.exportKeys([key])] });
    expect(error.code).toBe('signature-key-revoked');
    expect(error.message).toContain('was revoked on 2099-01-01T');
  });

  test('that its fingerprint in a signature names, where the key ID beside it is that of a good key', async () => {
    const revoked = gpg.generateKey('Revoked, under a name of another', { at: MADE });
    const signature = gpg.sign(DATA, { by: revoked, armor: false, at: SIGNED });
    gpg.revoke(revoked, { reason: 2, at: new Date('2025-02-03T00:00:00Z') });
    // Issuer Key ID, which gpg writes among what is not signed: anybody can change it (RFC 9580, section 5.2.3.12).
    const keyId = (fingerprint: string) => Buffer.from(fingerprint.slice(-16), 'hex');
    const at = signature.lastIndexOf(keyId(revoked));
    expect(at).toBeGreaterThan(signature.indexOf(keyId(revoked)));
    keyId(alice).copy(signature, at);
    const keys = [gpg.exportKeys([alice]), gpg.exportKeys([revoked])];
    for (const order of [keys, keys.toReversed()]) {
      const { code, message } = await refusal({ signature, keys: order });
      expect(code).toBe('signature-bad');
      expect(message).toContain(revoked);
      expect(message).not.toContain(alice);
    }
  });

  test('whose signing subkey was revoked', async () => {
    const primary = gpg.generateKey('Two subkeys', { usage: 'cert', at: MADE });
    const lost = gpg.addSubkey(primary, { at: MADE });
    const kept = gpg.addSubkey(primary, { at: MADE });
    const byLost = gpg.sign(DATA, { by: `${lost}!`, at: SIGNED });
    const byKept = gpg.sign(DATA, { by: `${kept}!`, at: SIGNED });
    gpg.revoke(primary, { subkey: 1, reason: 2, at: new Date('2025-02-03T00:00:00Z') });
    const keys = [gpg.exportKeys([primary])];

    const error = await refusal({ signature: byLost, keys });
    expect(error.code).toBe('signature-key-revoked');
    expect(error.message).toStartWith(`the subkey ${lost} of the key ${primary} "Two subkeys", which made`);
    expect((await verify({ signature: byKept, keys })).fingerprint).toBe(primary);
  });

  test('that a revocation by somebody else would revoke: anybody can append one', async () => {
    const key = gpg.generateKey('Victim', { at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    const other = gpg.generateKey('Attacker', { at: MADE });
    gpg.revoke(other, { at: SIGNED });
    const openpgp = await import('openpgp');
    const [revocation] = (await openpgp.readKey({ binaryKey: gpg.exportKeys([other]) })).revocationSignatures;
    if (revocation === undefined) throw new Error('gpg exported no revocation');
    const forged = await openpgp.readKey({ binaryKey: gpg.exportKeys([key]) });
    forged.revocationSignatures.push(revocation);
    expect((await verify({ signature, keys: [forged.write()] })).fingerprint).toBe(key);
  });

  test('that has expired, even for what it signed before', async () => {
    const key = gpg.generateKey('Expired <e@example.org>', { expires: '1y', at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    const keys = [gpg.exportKeys([key])];
    const error = await refusal({ signature, keys });
    expect(error.code).toBe('signature-key-expired');
    expect(error.message).toBe(
      `the key ${key} "Expired <e@example.org>", which made the signature http://h/SHA256SUMS.asc, expired on 2024-12-31T00:00:00.000Z; this machine's clock says 2026-11-22T12:00:00.000Z`,
    );
    expect(error.hint).toBe(
      `extend its life (gpg --quick-set-expire ${key} 2y) and put the key into the keyring anew, or sign with another key`,
    );
    expect((await verify({ signature, keys, now: new Date('2024-12-30') })).fingerprint).toBe(key);
  });

  test('whose signing subkey has expired', async () => {
    const primary = gpg.generateKey('Subkey expires', { usage: 'cert', at: MADE });
    const subkey = gpg.addSubkey(primary, { expires: '1y', at: MADE });
    const signature = gpg.sign(DATA, { by: primary, at: SIGNED });
    const error = await refusal({ signature, keys: [gpg.exportKeys([primary])] });
    expect(error.code).toBe('signature-key-expired');
    expect(error.message).toStartWith(
      `the subkey ${subkey} of the key ${primary} "Subkey expires", which made`,
    );
  });

  test('whose primary key has expired, though the subkey has not', async () => {
    const primary = gpg.generateKey('Primary expires', { usage: 'cert', expires: '1y', at: MADE });
    gpg.addSubkey(primary, { at: MADE });
    const signature = gpg.sign(DATA, { by: primary, at: SIGNED });
    expect((await refusal({ signature, keys: [gpg.exportKeys([primary])] })).code).toBe(
      'signature-key-expired',
    );
  });

  test('that is not valid yet, and blames the clock', async () => {
    const key = gpg.generateKey('Renewed', { expires: '1y', at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    gpg.setExpiry(key, '5y', new Date('2024-12-01'));
    const error = await refusal({ signature, keys: [gpg.exportKeys([key])], now: new Date('2024-07-01') });
    expect(error.code).toBe('signature-key-expired');
    expect(error.message).toMatch(
      /is valid only from 2024-12-01T00:00:0\d\.000Z on, but this machine's clock says 2024-07-01T00:00:00\.000Z$/,
    );
    expect(error.hint).toBe('set the clock of this machine (an initrd has no other than the hardware clock)');
  });

  test('that may only certify', async () => {
    // gpg itself does not sign files with such a key: the flag is taken away after the signature.
    const key = gpg.generateKey('Certifies only', { usage: 'sign', at: MADE });
    const signature = gpg.sign(DATA, { by: key, at: SIGNED });
    gpg.run(
      ['--command-fd', '0', '--expert', '--edit-key', key],
      'change-usage\nS\nQ\nsave\n',
      new Date('2024-07-01'),
    );
    const error = await refusal({ signature, keys: [gpg.exportKeys([key])] });
    expect(error.code).toBe('signature-bad');
    expect(error.message).toStartWith(
      `the key ${key} "Certifies only", which made the signature http://h/SHA256SUMS.asc, may not sign files: `,
    );
    expect(error.hint).toBe(
      'sign the file with a key that is made for signing (gpg --quick-generate-key NAME ed25519 sign)',
    );
  });

  test('whose user ID would write to the terminal', async () => {
    const key = gpg.generateKey('Evil', { at: MADE });
    const openpgp = await import('openpgp');
    const evil = await openpgp.generateKey({
      userIDs: { name: 'a\u{1b}[2Jb' },
      type: 'ecc',
      curve: 'ed25519Legacy',
      date: MADE,
      format: 'object',
    });
    const message = await openpgp.createMessage({ binary: Buffer.from(DATA) });
    const signature = await openpgp.sign({
      message,
      signingKeys: evil.privateKey,
      detached: true,
      date: SIGNED,
    });
    const keys = [gpg.exportKeys([key]), evil.publicKey.write()];
    expect((await verify({ signature: Buffer.from(signature), keys })).userId).toBe('a\\x1b[2Jb');
    const { message: text } = await refusal({ signature: Buffer.from(signature), keys, data: 'x' });
    expect(text).not.toMatch(/\p{Cc}/u);
  });
});

describe('does not accept a date', () => {
  test('in the future, and blames the clock', async () => {
    const signature = gpg.sign(DATA, { by: alice, at: new Date('2026-11-22T13:00:00Z') });
    const error = await refusal({ signature, keys: [gpg.exportKeys([alice])] });
    expect(error.code).toBe('signature-bad');
    expect(error.message).toMatch(
      /^the signature http:\/\/h\/SHA256SUMS\.asc is not valid yet: it is dated 2026-11-22T13:00:0\d\.000Z, but this machine's clock says 2026-11-22T12:00:00\.000Z$/,
    );
    expect(error.hint).toBe(
      'set the clock of this machine (an initrd has no other than the hardware clock), or that of the machine that signs',
    );
  });

  test('when the signature has expired', async () => {
    const signature = gpg.sign(DATA, { by: alice, expires: '1d', at: SIGNED });
    const error = await refusal({ signature, keys: [gpg.exportKeys([alice])] });
    expect(error.code).toBe('signature-bad');
    expect(error.message).toBe(
      "the signature http://h/SHA256SUMS.asc expired on 2024-06-02T00:00:00.000Z; this machine's clock says 2026-11-22T12:00:00.000Z",
    );
    expect(error.hint).toBe('sign the file again, or set the clock of this machine');
  });

  test('before the key was made', async () => {
    const openpgp = await import('openpgp');
    const secret = await openpgp.readPrivateKey({ armoredKey: gpg.exportSecretKey(alice).toString() });
    const packet = new openpgp.SignaturePacket();
    packet.signatureType = openpgp.enums.signature.binary;
    packet.publicKeyAlgorithm = secret.keyPacket.algorithm;
    packet.hashAlgorithm = openpgp.enums.hash.sha512;
    const [document] = (await openpgp.createMessage({ binary: Buffer.from(DATA) })).packets;
    const sign = packet.sign as (...signing: unknown[]) => Promise<void>;
    await sign.call(packet, secret.keyPacket, document, new Date('2023-01-01'), true, openpgp.config);
    const packets = new openpgp.PacketList<typeof packet>();
    packets.push(packet);
    const signature = new openpgp.Signature(packets).write();
    if (!(signature instanceof Uint8Array)) throw new Error('OpenPGP.js wrote a stream');

    const error = await refusal({ signature, keys: [gpg.exportKeys([alice])] });
    expect(error.code).toBe('signature-bad');
    expect(error.message).toBe(
      `the signature http://h/SHA256SUMS.asc is dated 2023-01-01T00:00:00.000Z, before the key ${alice} "Alice <alice@example.org>" was made on 2024-01-01T00:00:00.000Z`,
    );
  });
});

describe('does not take for a signature', () => {
  const HINT = 'make it with: gpg --armor --detach-sign FILE';

  async function malformed(signature: Uint8Array): Promise<RdpullError> {
    const error = await refusal({ signature, keys: [gpg.exportKeys([alice])] });
    expect(error.code).toBe('signature-malformed');
    expect(error.hint).toBe(HINT);
    return error;
  }

  test('a cleartext-signed message', async () => {
    const error = await malformed(gpg.clearSign(DATA, { by: alice, at: SIGNED }));
    expect(error.message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: it is a PGP SIGNED MESSAGE, which carries the signed text in itself',
    );
  });

  test('a message with the signature inside', async () => {
    const inline = (...options: string[]) => gpg.run([...options, '-u', alice, '--sign'], DATA, SIGNED);
    expect((await malformed(inline('--armor'))).message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: it is a PGP MESSAGE',
    );
    await malformed(inline('--compress-algo', 'none'));
    await malformed(inline());
  });

  test('a key', async () => {
    expect((await malformed(gpg.exportKeys([alice], { armor: true }))).message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: it is a PGP PUBLIC KEY BLOCK',
    );
    await malformed(gpg.exportKeys([alice]));
  });

  test('the certification of a key', async () => {
    const openpgp = await import('openpgp');
    const [user] = (await openpgp.readKey({ binaryKey: gpg.exportKeys([alice]) })).users;
    const packets = new openpgp.PacketList<(typeof user & object)['selfCertifications'][number]>();
    packets.push(...(user?.selfCertifications ?? []));
    const signature = new openpgp.Signature(packets).write();
    if (!(signature instanceof Uint8Array)) throw new Error('OpenPGP.js wrote a stream');
    expect((await malformed(signature)).message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: it signs something else than a file (a key, for instance)',
    );
  });

  test('a signature with something behind it', async () => {
    const armored = gpg.sign(DATA, { by: alice, at: SIGNED });
    const binary = gpg.sign(DATA, { by: alice, armor: false, at: SIGNED });
    expect((await malformed(Buffer.concat([armored, Buffer.from('trailing')]))).message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: there is other text before or after the signature',
    );
    await malformed(Buffer.concat([Buffer.from('leading\n'), armored]));
    await malformed(Buffer.concat([binary, Buffer.from('trailing')]));
    await malformed(Buffer.concat([binary, Buffer.from([0xff, 0xff, 0xff])]));
    await malformed(Buffer.concat([binary, Buffer.from([0xc0 | 60, 1, 0])]));
    await malformed(Buffer.concat([binary, armored]));
  });

  test('a signature that was cut short', async () => {
    const armored = gpg.sign(DATA, { by: alice, at: SIGNED });
    const binary = gpg.sign(DATA, { by: alice, armor: false, at: SIGNED });
    await malformed(armored.subarray(0, -10));
    for (const length of [1, 2, 3, 20, binary.length - 1]) await malformed(binary.subarray(0, length));
  });

  test('arbitrary bytes, which it does not send to the terminal', async () => {
    const error = await malformed(Buffer.from('\u{1b}[2J hello'));
    expect(error.message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: it begins with "\\x1b[2J hello"',
    );
    await malformed(new Uint8Array(0));
    expect((await malformed(Uint8Array.of(0xca, 3, 0x50, 0x47, 0x50))).message).toContain(
      'there is no signature in it',
    );
    await malformed(new Uint8Array(1000).fill(0xff));
  });

  test('more signatures than anybody needs', async () => {
    const one = gpg.sign(DATA, { by: bob, armor: false, at: SIGNED });
    const error = await malformed(Buffer.concat(Array<Buffer>(17).fill(one)));
    expect(error.message).toContain('it holds 17 signatures, more than the 16 that are tried');
    await malformed(Buffer.alloc(256 * 1024 + 1, 0x88));
  });

  test('a signature that must not be accepted by who does not know its critical notation', async () => {
    const options = ['--cert-policy-url', 'http://x', '--sig-notation', '!unknown@example.org=x'];
    const signature = gpg.sign(DATA, { by: alice, at: SIGNED, options });
    expect((await malformed(signature)).message).toBe(
      'http://h/SHA256SUMS.asc is no detached signature: it says itself that it must not be accepted by who does not know all of its properties',
    );
  });
});

/**
 * Where a binary version 4 signature may change without changing what it says (RFC 9580, section 5.2.3): in the
 * unhashed subpackets, and in the lengths of its numbers, which count bits but are rounded up to octets.
 */
function unsigned(signature: Buffer): number[] {
  const header = (signature.readUInt8(0) & 3) === 0 ? 2 : 3;
  const hashedEnd = header + 6 + signature.readUInt16BE(header + 4);
  const unhashedEnd = hashedEnd + 2 + signature.readUInt16BE(hashedEnd);
  const positions = Array.from({ length: unhashedEnd - hashedEnd }, (_, index) => hashedEnd + index);
  for (let number = unhashedEnd + 2; number < signature.length; ) {
    positions.push(number, number + 1);
    number += 2 + Math.ceil(signature.readUInt16BE(number) / 8);
  }
  return positions;
}
