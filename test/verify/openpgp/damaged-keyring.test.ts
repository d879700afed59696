import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { loadKeyring } from '../../../src/verify/openpgp/keyring.ts';
import { GpgHome } from '../../fixtures/gpg.ts';
import { packet, STRANGE_KEYS, signaturePacket, takeApart } from '../../fixtures/openpgp-packets.ts';
import { DATA, MADE, rdpullRefusal, rdpullSays, SIGNED } from '../../fixtures/signature-oracle.ts';

/** What cannot be used in a keyring or a signature file takes nothing with it that can. */
let gpg: GpgHome;
let good: string;
let keys: Buffer;
let others: Buffer;
let signature: Buffer;
/** The key ID of the good key. */
let keyId: string;

beforeAll(() => {
  gpg = new GpgHome();
  good = gpg.generateKey('Good <good@example.org>', { at: MADE });
  keys = gpg.exportKeys([good]);
  others = gpg.exportKeys([gpg.generateKey('Other <other@example.org>', { at: MADE })]);
  signature = gpg.sign(DATA, { by: good, at: SIGNED, armor: false });
  keyId = good.slice(-16).toLowerCase();
});
afterAll(() => gpg[Symbol.dispose]());

const kinds = Object.entries(STRANGE_KEYS);

describe('a key', () => {
  test.each(kinds)('%s', async (kind, strange) => {
    for (const order of [
      [strange, keys, others],
      [others, strange, keys],
      [keys, strange],
    ]) {
      expect(await rdpullSays({ keys: Buffer.concat(order), signature }, gpg)).toBe('accepted');
      const { passedOver } = await load(Buffer.concat(order));
      expect(passedOver).toEqual([
        expect.stringMatching(/: 1 key is passed over, which cannot be used here: 1 /),
      ]);
      expect(passedOver[0]).toEndWith(`: 1 ${kind}`);
    }
  });

  test('of whatever kind, many of them: the sentence stays short', async () => {
    const strange = kinds.flatMap(([, key]) => Array<Buffer>(400).fill(key));
    const { passedOver, keys: read } = await load(Buffer.concat([...strange, keys]));
    expect(read).toHaveLength(1);
    expect(passedOver.map((text) => text.replace(/^.*: (?=\d+ keys)/, ''))).toEqual([
      `${400 * kinds.length} keys are passed over, which cannot be used here: 400 of version 3, 400 of version 5, 400 of the unknown algorithm 99 and 2 other kinds`,
    ]);
  });

  test('is named where it may be the one that is looked for', async () => {
    const error = await rdpullRefusal(
      { keys: Buffer.concat([STRANGE_KEYS['of the unknown algorithm 30'], others]), signature },
      gpg,
    );
    expect(error?.code).toBe('signature-unknown-key');
    expect(error?.message).toEndWith(
      ': 1 key is passed over, which cannot be used here: 1 of the unknown algorithm 30',
    );
  });
});

describe('a packet in a key', () => {
  const PACKETS: Record<string, () => Buffer> = {
    'a certification by an unknown algorithm': () => signaturePacket(4, 0x10, 99),
    'a certification of version 3': () =>
      packet(2, [3, 5, 0x10, 0, 0, 0, 0], Buffer.alloc(8, 9), [1, 8, 1, 2, 0, 8, 255]),
    'a certification of version 5': () => signaturePacket(5, 0x13, 22),
    'a certification of version 6': () => signaturePacket(6, 0x13, 27),
    'a certification that the key is said to have made': () => signaturePacket(4, 0x13, 22, keyId),
    'one by an unknown algorithm that the key is said to have made': () =>
      signaturePacket(4, 0x13, 99, keyId),
    'a revocation that the key is said to have made': () => signaturePacket(4, 0x20, 22, keyId),
    'a signature that is cut short': () => packet(2, [4, 0x13, 22]),
    'a signature that is cut in its subpackets': () => packet(2, [4, 0x13, 22, 8, 0, 60, 5, 2, 1]),
    'a signature with a subpacket that ends behind it': () =>
      packet(2, [4, 0x13, 22, 8, 0, 6, 5, 2, 1, 2, 3, 4, 0, 12, 200, 200, 9, 16], Buffer.from(keyId, 'hex')),
    'an empty signature': () => packet(2),
    'an unknown packet, critical': () => packet(39, [1]),
    'an unknown packet, not critical': () => packet(40, [1]),
    'a comment': () => packet(61, Buffer.from('comment')),
    'encrypted data': () => packet(20, [1, 2, 3]),
    padding: () => packet(21, [1, 2, 3]),
    'a marker': () => packet(10, Buffer.from('PGP')),
    'what GnuPG notes about trust': () => packet(12, [1, 2]),
  };

  test.each(Object.entries(PACKETS))('%s, wherever it stands', async (_, make) => {
    const whole = takeApart(keys).map((each) => each.whole);
    expect(whole).toHaveLength(3);
    for (let at = 0; at <= whole.length; at++) {
      const made = { keys: Buffer.concat(whole.toSpliced(at, 0, make())), signature };
      expect({ at, says: await rdpullSays(made, gpg) }).toEqual({ at, says: 'accepted' });
    }
  });

  test.each<[string, () => Buffer]>([
    ['a picture', () => packet(17, [1, 2])],
    ['a user ID that is too long', () => packet(13, Buffer.alloc(70_000, 65))],
    ['an empty user ID', () => packet(13)],
  ])('%s, which nobody certifies', async (_, make) => {
    const [primary, ...rest] = takeApart(keys).map((each) => each.whole);
    const first = Buffer.concat([primary ?? keys, make(), ...rest]);
    const last = Buffer.concat([keys, make()]);
    for (const each of [first, last]) {
      expect(await rdpullSays({ keys: each, signature }, gpg)).toBe('accepted');
    }
  });

  test.each<[string, () => Buffer]>([
    ['of an unknown algorithm', () => packet(14, [4, 1, 1, 1, 1, 99], Buffer.alloc(30))],
    ['of version 5', () => packet(14, [5, 1, 1, 1, 1, 22], Buffer.alloc(30))],
    ['of version 6, post-quantum', () => packet(14, [6, 1, 1, 1, 1, 35], Buffer.alloc(1000))],
    ['that is cut short', () => packet(14, [4, 1])],
  ])('a subkey %s', async (_, make) => {
    const withSubkey = Buffer.concat([keys, make(), signaturePacket(4, 0x18, 22, keyId)]);
    expect(await rdpullSays({ keys: withSubkey, signature }, gpg)).toBe('accepted');
    expect((await load(withSubkey)).passedOver).toEqual([]);
  });
});

describe('an armored block', () => {
  const armored = (fingerprint: string) => gpg.exportKeys([fingerprint], { armor: true }).toString();

  test.each<[string, (block: string) => string]>([
    ['with characters that are no base64', (block) => block.replace(/\n([A-Za-z0-9+/]{10})/, '\n****$1')],
    ['that is cut short', (block) => block.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n')],
    ['without its end', (block) => block.slice(0, block.indexOf('-----END'))],
    ['of another kind', () => gpg.sign('x', { by: good, at: SIGNED }).toString()],
  ])('%s between two that are whole', async (_, damage) => {
    const third = gpg.generateKey(`Third ${_}`, { at: MADE });
    const text = `${armored(third)}\n${damage(armored(third))}\n${armored(good)}`;
    const { keys: read, passedOver } = await load(Buffer.from(text));
    expect(read.map(({ fingerprint }) => fingerprint.toUpperCase())).toEqual([third, good]);
    expect(passedOver).toEqual([
      expect.stringMatching(
        /: 1 key is passed over, which cannot be used here: 1 in an armored block that cannot be read$/,
      ),
    ]);
    expect(await rdpullSays({ keys: Buffer.from(text), signature }, gpg)).toBe('accepted');
  });

  test('with a wrong checksum, which says nothing (RFC 9580, section 6.1)', async () => {
    const text = armored(good).replace(/\n=....\n/, '\n=AAAA\n');
    expect(text).not.toBe(armored(good));
    expect(await rdpullSays({ keys: Buffer.from(text), signature }, gpg)).toBe('accepted');
  });

  test('that is the only one, and damaged: the keyring is none', async () => {
    const text = armored(good).replace(/\n([A-Za-z0-9+/]{10})/, '\n****$1');
    const error = await rdpullRefusal({ keys: Buffer.from(text), signature }, gpg);
    expect(error?.code).toBe('keyring-malformed');
    expect(error?.message).toEndWith(': none of its armored blocks holds a key that can be read');
  });
});

describe('a revocation without its key', () => {
  test('counts beside the key, in another file or block', async () => {
    const lost = gpg.generateKey('Lost', { at: MADE });
    const made = gpg.sign(DATA, { by: lost, at: SIGNED });
    const before = gpg.exportKeys([lost]);
    const certificate = fs
      .readFileSync(path.join(gpg.directory, 'openpgp-revocs.d', `${lost}.rev`), 'utf8')
      .replace(/^:/gm, '');
    const revocation = certificate.slice(certificate.indexOf('-----BEGIN'));
    const together = `${gpg.run(['--enarmor'], before).toString().replaceAll('ARMORED FILE', 'PUBLIC KEY BLOCK')}${revocation}`;
    expect(await rdpullSays({ keys: before, signature: made }, gpg)).toBe('accepted');
    expect(await rdpullSays({ keys: Buffer.from(together), signature: made }, gpg)).toBe(
      'signature-key-revoked',
    );
  });
});

describe('a signature beside a good one', () => {
  test.each<[string, () => Buffer]>([
    ['of version 3', () => packet(2, [3, 5, 0, 0, 0, 0, 0], Buffer.alloc(8, 9), [1, 8, 1, 2, 0, 8, 255])],
    ['of version 5', () => signaturePacket(5, 0, 22)],
    ['of version 6, post-quantum', () => signaturePacket(6, 0, 30)],
    ['by an unknown algorithm', () => signaturePacket(4, 0, 99)],
    ['that is cut short', () => packet(2, [4, 0, 22])],
    ['that is empty', () => packet(2)],
    ['over a key', () => signaturePacket(4, 0x10, 22)],
  ])('%s', async (_, make) => {
    for (const order of [
      [make(), signature],
      [signature, make()],
    ]) {
      expect(await rdpullSays({ keys, signature: Buffer.concat(order) }, gpg)).toBe('accepted');
    }
    expect(await rdpullSays({ keys, signature: make() }, gpg)).toBe('signature-malformed');
  });

  test('that a key of the keyring is said to have made, and has not', async () => {
    const forged = signaturePacket(4, 0, 22, keyId);
    for (const order of [
      [forged, signature],
      [signature, forged],
    ]) {
      expect(await rdpullSays({ keys, signature: Buffer.concat(order) }, gpg)).toBe('signature-bad');
    }
  });

  test('that has expired, or by a key that was revoked', async () => {
    const old = gpg.generateKey('Old', { at: MADE });
    const byOld = gpg.sign(DATA, { by: old, at: SIGNED, armor: false });
    gpg.revoke(old, { at: SIGNED });
    const expired = gpg.sign(DATA, { by: good, at: SIGNED, armor: false, expires: '1d' });
    for (const each of [byOld, expired]) {
      const made = { keys: gpg.exportKeys([old, good]), signature: Buffer.concat([each, signature]) };
      expect(await rdpullSays(made, gpg)).toBe('accepted');
    }
  });
});

describe('is refused in little time', () => {
  test.each<[string, string, () => { keys: Buffer; signature: Buffer }]>([
    [
      'a keyring of more keys than anybody has',
      'keyring-malformed',
      () => ({ keys: Buffer.concat(Array<Buffer>(10_001).fill(keys)), signature }),
    ],
    [
      'a keyring of empty packets',
      'keyring-malformed',
      () => ({ keys: Buffer.concat([keys, Buffer.alloc(8_000_000, Buffer.from([0xfd, 0]))]), signature }),
    ],
    [
      'a key with thousands of certifications that it is said to have made',
      'signature-bad',
      () => {
        const [primary, user, certification] = takeApart(keys).map((each) => each.whole);
        const forged = Array.from({ length: 5000 }, (_, index) => newer(certification ?? keys, index));
        return { keys: Buffer.concat([primary ?? keys, user ?? keys, ...forged]), signature };
      },
    ],
    [
      'a signature that carries such a key along',
      'signature-unknown-key',
      () => {
        const bytes = gpg.sign(DATA, {
          by: gpg.generateKey('Carried', { at: MADE }),
          at: SIGNED,
          armor: false,
          options: ['--include-key-block'],
        });
        return { keys, signature: bytes };
      },
    ],
  ])('%s', async (_, code, make) => {
    const made = make();
    const begun = performance.now();
    expect(await rdpullSays(made, gpg)).toBe(code);
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  test('a keyring with many certifications by others is no trouble', async () => {
    const certification = signaturePacket(4, 0x10, 22);
    const flooded = Buffer.concat([keys, ...Array<Buffer>(100_000).fill(certification)]);
    const begun = performance.now();
    expect(await rdpullSays({ keys: flooded, signature }, gpg)).toBe('accepted');
    expect(performance.now() - begun).toBeLessThan(10_000);
  });
});

/** A self-signature with its time and its end changed, whose first octets of the digest are not right any more. */
function newer(certification: Buffer, index: number): Buffer {
  const changed = Buffer.from(certification);
  changed.writeUInt32BE(index, changed.length - 8);
  return changed;
}

function load(content: Uint8Array) {
  const file = path.join(fs.mkdtempSync(path.join(gpg.directory, 'keyring-')), 'keys.pgp');
  fs.writeFileSync(file, content);
  return loadKeyring({ files: [file] });
}
