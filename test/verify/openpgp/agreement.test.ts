import { afterAll, beforeAll, expect, test } from 'bun:test';
import * as openpgp from 'openpgp';
import { GpgHome } from '../../fixtures/gpg.ts';
import {
  gpgAccepts as accepts,
  bothGpgs,
  type SignatureCase as Case,
  DATA,
  type Gpg,
  MADE,
  SIGNED,
  rdpullSays as says,
} from '../../fixtures/signature-oracle.ts';

/**
 * rdpull beside gpg 2.2 (Debian 12) and 2.4 (forky), each called as systemd 262 calls it: the same keyring, signature and
 * file. Where the two disagree, the case says why.
 */
const LATER = new Date('2025-02-03T00:00:00Z');

let gpg: GpgHome;
let gpgs: readonly Gpg[];

beforeAll(() => {
  gpg = new GpgHome();
  gpgs = bothGpgs();
});
afterAll(() => gpg[Symbol.dispose]());

const gpgAccepts = (each: Gpg, made: Case) => accepts(each, made, gpg);
const rdpullSays = (made: Case) => says(made, gpg);

function key(name: string, options: Parameters<GpgHome['generateKey']>[1] = {}): string {
  return gpg.generateKey(`${name} <${name}@example.org>`, { at: MADE, ...options });
}

function sign(by: string | readonly string[], options: Partial<Parameters<GpgHome['sign']>[1]> = {}): Buffer {
  return gpg.sign(DATA, { by, at: SIGNED, ...options });
}

/** RFC 9580, section 5.8. */
const MARKER = Buffer.from([0xca, 3, 0x50, 0x47, 0x50]);
/** Old PGP's comment packet, of the private tag 61 that GnuPG used for it. */
const COMMENT = Buffer.concat([Buffer.from([0xc0 | 61, 7]), Buffer.from('comment')]);

const signedBy = (algorithm: string) => () => {
  const fingerprint = key(algorithm, { algorithm });
  return { keys: gpg.exportKeys([fingerprint]), signature: sign(fingerprint) };
};

/** What both make of a case; 2.2 and 2.4 agree unless it is said. */
type Verdict = 'both accept' | 'both refuse';

test.each<[string, Verdict, () => Case]>([
  ...['rsa2048', 'rsa3072', 'rsa4096', 'ed25519', 'nistp256', 'nistp384', 'nistp521'].map(
    (algorithm): [string, Verdict, () => Case] => [`by ${algorithm}`, 'both accept', signedBy(algorithm)],
  ),
  ...['brainpoolP256r1', 'brainpoolP384r1', 'brainpoolP512r1'].map(
    (algorithm): [string, Verdict, () => Case] => [`by ${algorithm}`, 'both accept', signedBy(algorithm)],
  ),
  ...['SHA256', 'SHA384', 'SHA512'].map((digest): [string, Verdict, () => Case] => [
    `with ${digest}`,
    'both accept',
    () => {
      const by = key(`d${digest}`);
      return { keys: gpg.exportKeys([by]), signature: sign(by, { digest }) };
    },
  ]),
  [
    'in binary form, with an armored keyring',
    'both accept',
    () => {
      const by = key('binary');
      return { keys: gpg.exportKeys([by], { armor: true }), signature: sign(by, { armor: false }) };
    },
  ],
  [
    'by a signing subkey',
    'both accept',
    () => {
      const by = key('primary', { usage: 'cert' });
      gpg.addSubkey(by, { at: MADE });
      return { keys: gpg.exportKeys([by]), signature: sign(by) };
    },
  ],
  [
    'in text mode',
    'both accept',
    () => {
      const by = key('text');
      return { keys: gpg.exportKeys([by]), signature: sign(by, { options: ['--textmode'] }) };
    },
  ],
  [
    'with a key whose life was extended afterwards',
    'both accept',
    () => {
      const by = key('extended', { expires: '2025-01-01' });
      const signature = sign(by);
      gpg.setExpiry(by, '2030-01-01', new Date('2024-12-01'));
      return { keys: gpg.exportKeys([by]), signature };
    },
  ],
  [
    'with a marker packet before it (RFC 9580, section 5.8: to be passed over)',
    'both accept',
    () => {
      const by = key('marker');
      return { keys: gpg.exportKeys([by]), signature: Buffer.concat([MARKER, sign(by, { armor: false })]) };
    },
  ],
  [
    'over another file',
    'both refuse',
    () => {
      const by = key('other-file');
      return { keys: gpg.exportKeys([by]), signature: sign(by), data: 'something else' };
    },
  ],
  [
    'by a key that is not in the keyring',
    'both refuse',
    () => ({ keys: gpg.exportKeys([key('somebody')]), signature: sign(key('stranger')) }),
  ],
  [
    'with MD5',
    'both refuse',
    () => {
      const by = key('md5', { algorithm: 'rsa2048' });
      return { keys: gpg.exportKeys([by]), signature: sign(by, { digest: 'MD5' }) };
    },
  ],
  [
    'that is no signature but a cleartext-signed file',
    'both refuse',
    () => {
      const by = key('clear');
      return { keys: gpg.exportKeys([by]), signature: gpg.clearSign(DATA, { by, at: SIGNED }) };
    },
  ],
  [
    'that was cut short',
    'both refuse',
    () => {
      const by = key('cut');
      const whole = sign(by, { armor: false });
      return { keys: gpg.exportKeys([by]), signature: whole.subarray(0, whole.length - 4) };
    },
  ],
  [
    'with another packet type behind it: literal data',
    'both refuse',
    () => {
      const by = key('literal');
      const literal = Buffer.from([0xcb, 8, 0x62, 0, 0, 0, 0, 0, 0x68, 0x69]);
      return { keys: gpg.exportKeys([by]), signature: Buffer.concat([sign(by, { armor: false }), literal]) };
    },
  ],
])('a signature %s: %s', async (_, verdict, make) => {
  const made = make();
  const accepted = verdict === 'both accept';
  expect(await rdpullSays(made)).toMatch(accepted ? /^accepted$/ : /^signature-/);
  for (const each of gpgs) {
    expect({ [each.version]: gpgAccepts(each, made) }).toEqual({ [each.version]: accepted });
  }
});

test.each<[string, string, string, () => Case]>([
  [
    'by a key that was revoked afterwards',
    'signature-key-revoked',
    'gpg warns and exits with 0; a revocation has to count, or it is none',
    () => {
      const by = key('revoked');
      const signature = sign(by);
      gpg.revoke(by, { at: LATER });
      return { keys: gpg.exportKeys([by]), signature };
    },
  ],
  [
    'by a subkey that was revoked afterwards',
    'signature-key-revoked',
    'as for the key itself',
    () => {
      const by = key('sub-revoked', { usage: 'cert' });
      gpg.addSubkey(by, { at: MADE });
      const signature = sign(by);
      gpg.revoke(by, { subkey: 1, at: LATER });
      return { keys: gpg.exportKeys([by]), signature };
    },
  ],
  [
    'from before the key expired',
    'signature-key-expired',
    'the date of a signature is the word of whoever has the key by now',
    () => {
      const by = key('expired', { expires: '2025-01-01' });
      return { keys: gpg.exportKeys([by]), signature: sign(by) };
    },
  ],
  [
    'with SHA-1',
    'signature-weak',
    'SHA-1 has collisions that can be bought (Leurent and Peyrin, 2020)',
    () => {
      const by = key('sha1', { algorithm: 'rsa2048' });
      return { keys: gpg.exportKeys([by]), signature: sign(by, { digest: 'SHA1' }) };
    },
  ],
  [
    'with RSA of 1024 bits',
    'signature-weak',
    'such keys can be factored (NIST SP 800-131A)',
    () => {
      const by = key('rsa1024', { algorithm: 'rsa1024' });
      return { keys: gpg.exportKeys([by]), signature: sign(by, { digest: 'SHA256' }) };
    },
  ],
])('a signature %s: only gpg accepts (%s: %s)', async (_, code, _reason, make) => {
  const made = make();
  expect(await rdpullSays(made)).toBe(code);
  for (const each of gpgs) {
    expect({ [each.version]: gpgAccepts(each, made) }).toEqual({ [each.version]: true });
  }
});

test('a comment packet behind a signature: 2.2 accepts, 2.4 and rdpull refuse', async () => {
  const by = key('comment');
  const made = {
    keys: gpg.exportKeys([by]),
    signature: Buffer.concat([sign(by, { armor: false }), COMMENT]),
  };
  expect(await rdpullSays(made)).toBe('signature-malformed');
  expect(gpgs.map((each) => [each.version, gpgAccepts(each, made)])).toEqual([
    ['2.2', true],
    ['2.4', false],
  ]);
});

test('a good signature beside one by an unknown key: only rdpull accepts, so that keys can be changed', async () => {
  const [good, unknown] = [key('good'), key('unknown')];
  for (const order of [
    [good, unknown],
    [unknown, good],
  ]) {
    const made = { keys: gpg.exportKeys([good]), signature: sign(order) };
    expect(await rdpullSays(made)).toBe('accepted');
    expect(gpgs.map((each) => gpgAccepts(each, made))).toEqual([false, false]);
  }
});

test('a key and a signature of version 6, which gpg does not read', async () => {
  const { privateKey, publicKey } = await openpgp.generateKey({
    userIDs: [{ name: 'Six' }],
    date: MADE,
    format: 'object',
    config: { v6Keys: true },
  });
  const signature = await openpgp.sign({
    message: await openpgp.createMessage({ binary: Buffer.from(DATA) }),
    signingKeys: privateKey,
    detached: true,
    date: SIGNED,
  });
  const made = { keys: Buffer.from(publicKey.armor()), signature: Buffer.from(signature) };
  expect(signature).toContain('BEGIN PGP SIGNATURE');
  expect(publicKey.keyPacket.version).toBe(6);
  expect(await rdpullSays(made)).toBe('accepted');
  expect(await rdpullSays({ ...made, data: 'something else' })).toBe('signature-bad');
});

test.each([
  ['a huge packet length', Buffer.from([0xc2, 0xff, 0x7f, 0xff, 0xff, 0xff])],
  ['partial lengths without end', Buffer.alloc(100_000, 0xe1)],
  ['compressed packets in each other', nested()],
])('%s is refused at once', async (_, signature) => {
  const begun = performance.now();
  const by = key('hostile');
  expect(await rdpullSays({ keys: gpg.exportKeys([by]), signature })).toBe('signature-malformed');
  expect(performance.now() - begun).toBeLessThan(5000);
});

/** Compressed data packets (tag 8, uncompressed algorithm 0), each around the next. */
function nested(): Buffer {
  let packet = Buffer.from(MARKER);
  for (let depth = 0; depth < 60; depth++) {
    const body = Buffer.concat([Buffer.from([0]), packet]);
    const length = Buffer.alloc(5);
    length[0] = 0xff;
    length.writeUInt32BE(body.length, 1);
    packet = Buffer.concat([Buffer.from([0xc8]), length, body]);
  }
  return packet;
}
