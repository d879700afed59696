import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { GpgHome } from '../../fixtures/gpg.ts';
import { takeApart } from '../../fixtures/openpgp-packets.ts';
import { type Properties, SelfSigner, userId } from '../../fixtures/self-signature.ts';
import {
  bothGpgs,
  DATA,
  type Gpg,
  gpgAccepts,
  MADE,
  rdpullRefusal,
  rdpullSays,
  SIGNED,
  type SignatureCase,
} from '../../fixtures/signature-oracle.ts';

/** What a key may do, until when, and who may revoke it, beside gpg. */
let gpg: GpgHome;
let gpgs: readonly Gpg[];
let fingerprint: string;
let signer: SelfSigner;
let signature: Buffer;

const LATER = new Date('2025-02-03T00:00:00Z');
const NAME = Buffer.from('Name <name@example.org>');
const SECOND = Buffer.from('Second <name@example.net>');
const DAY = 86_400;
const CERTIFY = 1;
const SIGN = 2;

beforeAll(async () => {
  gpg = new GpgHome();
  gpgs = bothGpgs();
  fingerprint = key('Signer');
  signer = await SelfSigner.of(gpg, fingerprint);
  signature = gpg.sign(DATA, { by: fingerprint, at: SIGNED });
});
afterAll(() => gpg[Symbol.dispose]());

function key(name: string, options: Parameters<GpgHome['generateKey']>[1] = {}): string {
  return gpg.generateKey(`${name} <${name}@example.org>`, { at: MADE, ...options });
}

/** What both versions of gpg say, and rdpull. */
async function verdicts(made: SignatureCase): Promise<{ gpg: boolean[]; rdpull: string }> {
  return { gpg: gpgs.map((each) => gpgAccepts(each, made, gpg)), rdpull: await rdpullSays(made, gpg) };
}

const accepted = { gpg: [true, true], rdpull: 'accepted' };

interface Said {
  /** What the key says over itself. */
  readonly direct?: Properties;
  readonly directAt?: Date;
  /** What it says over a user ID, and later over a second one. */
  readonly first?: Properties;
  readonly second?: Properties;
}

async function keysThatSay({ direct, directAt = MADE, first = {}, second }: Said): Promise<Buffer> {
  return Buffer.concat([
    signer.primary,
    ...(direct === undefined ? [] : [await signer.direct(directAt, direct)]),
    userId(NAME),
    await signer.certify(NAME, MADE, first),
    ...(second === undefined ? [] : [userId(SECOND), await signer.certify(SECOND, LATER, second)]),
  ]);
}

describe('a key may sign', () => {
  test.each<[string, Said]>([
    ['without flags', {}],
    ['with the flag for it', { first: { keyFlags: [SIGN] } }],
    [
      'by what it says over itself, before what it says over its name',
      { direct: { keyFlags: [SIGN] }, first: { keyFlags: [CERTIFY] } },
    ],
    ['by the newest of its user IDs that say anything', { first: { keyFlags: [SIGN] }, second: {} }],
    ['by its newest user ID', { first: { keyFlags: [CERTIFY] }, second: { keyFlags: [SIGN] } }],
  ])('%s', async (_, said) => {
    expect(await verdicts({ keys: await keysThatSay(said), signature })).toEqual(accepted);
  });
});

describe('a key may not sign', () => {
  test.each<[string, Said]>([
    ['with other flags', { first: { keyFlags: [CERTIFY] } }],
    ['with no flag set', { first: { keyFlags: [0] } }],
    ['with flags of no length', { first: { keyFlags: [] } }],
    ['by its newest user ID', { first: { keyFlags: [SIGN] }, second: { keyFlags: [CERTIFY] } }],
  ])('%s', async (_, said) => {
    const made = { keys: await keysThatSay(said), signature };
    const error = await rdpullRefusal(made, gpg);
    expect(error?.code).toBe('signature-bad');
    expect(error?.message).toEndWith(', may not sign files: it is made for something else');
    expect((await verdicts(made)).gpg).toEqual([false, false]);
  });
});

describe('a key has expired', () => {
  test.each<[string, Said]>([
    ['by what it says over its name', { first: { keyExpirationTime: 200 * DAY } }],
    ['by what it says over itself', { direct: { keyExpirationTime: 200 * DAY } }],
    [
      'by the newest user ID that says so',
      { first: { keyExpirationTime: 2000 * DAY }, second: { keyExpirationTime: 200 * DAY } },
    ],
    ['by the only user ID that says so', { first: { keyExpirationTime: 200 * DAY }, second: {} }],
  ])('%s', async (_, said) => {
    expect(await rdpullSays({ keys: await keysThatSay(said), signature }, gpg)).toBe('signature-key-expired');
  });

  test.each<[string, Said]>([
    [
      'when its name says otherwise later',
      { first: { keyExpirationTime: 200 * DAY }, second: { keyExpirationTime: 2000 * DAY } },
    ],
    [
      'when it says otherwise over itself',
      { direct: { keyExpirationTime: 2000 * DAY }, first: { keyExpirationTime: 200 * DAY } },
    ],
  ])('but not %s', async (_, said) => {
    expect(await verdicts({ keys: await keysThatSay(said), signature })).toEqual(accepted);
  });
});

describe('a user ID', () => {
  test('is certified over its bytes, which need not be UTF-8', async () => {
    const latin1 = Buffer.from('René <rene@example.org>', 'latin1');
    const keys = Buffer.concat([signer.primary, userId(latin1), await signer.certify(latin1, MADE)]);
    expect(await verdicts({ keys, signature })).toEqual(accepted);
  });

  test('that was revoked counts for nothing, until it is certified anew', async () => {
    const certified = [signer.primary, userId(NAME), await signer.certify(NAME, MADE)];
    const revoked = [...certified, await signer.revokeUserId(NAME, SIGNED)];
    const error = await rdpullRefusal({ keys: Buffer.concat(revoked), signature }, gpg);
    expect(error?.code).toBe('signature-bad');
    expect(error?.message).toEndWith(', may not sign files: all of its user IDs were revoked');
    const again = Buffer.concat([...revoked, await signer.certify(NAME, LATER)]);
    expect(await verdicts({ keys: again, signature })).toEqual(accepted);
    const other = Buffer.concat([...revoked, userId(SECOND), await signer.certify(SECOND, MADE)]);
    expect(await verdicts({ keys: other, signature })).toEqual(accepted);
  });

  test('is not missed where the key says all over itself', async () => {
    const keys = Buffer.concat([signer.primary, await signer.direct(MADE, { keyFlags: [SIGN] })]);
    expect(await rdpullSays({ keys, signature }, gpg)).toBe('accepted');
  });

  test('is needed where it does not', async () => {
    const error = await rdpullRefusal({ keys: signer.primary, signature }, gpg);
    expect(error?.code).toBe('signature-bad');
    expect(error?.message).toEndWith(', may not sign files: no signature of its own makes it valid');
  });
});

describe('a designated revoker', () => {
  let victim: string;
  let revoker: string;
  let byVictim: Buffer;
  let revoked: Buffer;

  beforeAll(() => {
    [victim, revoker] = [key('Victim'), key('Revoker')];
    const edit = ['--command-fd', '0', '--expert', '--edit-key', victim];
    gpg.run(edit, `addrevoker\n${revoker}\ny\nsave\n`, MADE);
    byVictim = gpg.sign(DATA, { by: victim, at: SIGNED });
    expect(gpg.exportKeys([victim])).not.toEqual(revoked);
    const answers = ['--command-fd', '0', '--no-batch', '--local-user', revoker, '--desig-revoke', victim];
    gpg.run(['--import'], gpg.run(answers, 'y\n1\n\ny\n', LATER));
    revoked = gpg.exportKeys([victim]);
  });

  /** The key as it was before: without the revocation by somebody else. */
  const before = () =>
    Buffer.concat(
      takeApart(revoked)
        .filter(({ tag, body }) => tag !== 2 || body[1] !== 0x20)
        .map(({ whole }) => whole),
    );

  test('does no harm by being named', async () => {
    expect(before().length).toBeLessThan(revoked.length);
    expect(await verdicts({ keys: before(), signature: byVictim })).toEqual(accepted);
  });

  test('has revoked the key, which gpg only warns of', async () => {
    const made = { keys: Buffer.concat([revoked, gpg.exportKeys([revoker])]), signature: byVictim };
    expect(await verdicts(made)).toEqual({ gpg: [true, true], rdpull: 'signature-key-revoked' });
    const error = await rdpullRefusal(made, gpg);
    expect(error?.message).toMatch(
      /^the key [0-9A-F]{40} "Victim <Victim@example.org>", which made the signature s, was revoked on 2025-02-03T00:00:0\d\.000Z$/,
    );
  });

  test('has done so although his own key is not here, and the message says it', async () => {
    const error = await rdpullRefusal({ keys: revoked, signature: byVictim }, gpg);
    expect(error?.code).toBe('signature-key-revoked');
    expect(error?.message).toEndWith(
      ` by its designated revoker ${revoker}, whose key is not here to check that`,
    );
    expect(error?.hint).toContain('put the key of the revoker into the keyring');
  });

  test('is nobody whom the key does not name', async () => {
    const revocation = takeApart(revoked).find(({ tag, body }) => tag === 2 && body[1] === 0x20);
    const [primary, ...rest] = takeApart(gpg.exportKeys([fingerprint])).map(({ whole }) => whole);
    const keys = Buffer.concat([
      primary ?? revoked,
      revocation?.whole ?? revoked,
      ...rest,
      gpg.exportKeys([revoker]),
    ]);
    expect(revocation).toBeDefined();
    expect(await verdicts({ keys, signature })).toEqual(accepted);
  });
});

test('a key that is in two certificates is judged in each of them, and one that is good is enough', async () => {
  const [adopter, owner] = [key('Adopter'), key('Owner')];
  const owned = gpg.exportKeys([owner]);
  const byOwner = gpg.sign(DATA, { by: owner, at: SIGNED, armor: false });
  const listing = gpg.run(['--with-colons', '--with-keygrip', '--list-secret-keys', owner]).toString();
  const keygrip = /^grp:+([0-9A-F]+):/m.exec(listing)?.[1];
  const edit = ['--command-fd', '0', '--no-batch', '--expert', '--edit-key', adopter];
  gpg.run(edit, `addkey\n13\n${keygrip}\nE\nQ\n0\ny\ny\nsave\n`, MADE);
  expect(gpg.fingerprints(adopter)).toEqual([adopter, owner]);
  gpg.revoke(adopter, { subkey: 1, at: LATER });
  const adopted = gpg.exportKeys([adopter]);

  expect(await rdpullSays({ keys: adopted, signature: byOwner }, gpg)).toBe('signature-key-revoked');
  for (const keys of [Buffer.concat([adopted, owned]), Buffer.concat([owned, adopted])]) {
    expect(await rdpullSays({ keys, signature: byOwner }, gpg)).toBe('accepted');
    expect(await rdpullSays({ keys, signature: byOwner, data: 'x' }, gpg)).toBe('signature-bad');
  }
});

test('a subkey that does not say itself that it belongs to the key may not sign', async () => {
  const primary = key('Primary', { usage: 'cert' });
  gpg.addSubkey(primary, { at: MADE });
  const made = gpg.sign(DATA, { by: primary, at: SIGNED });
  const packets = takeApart(gpg.exportKeys([primary]));
  const binding = packets.at(-1);
  if (binding === undefined) throw new Error('gpg exported nothing');
  expect(await verdicts({ keys: gpg.exportKeys([primary]), signature: made })).toEqual(accepted);

  // gpg has the signature of the subkey (subpacket 32) among what is not signed.
  const hashedEnd = 6 + binding.body.readUInt16BE(4);
  const unhashedEnd = hashedEnd + 2 + binding.body.readUInt16BE(hashedEnd);
  const kept: Buffer[] = [];
  for (let at = hashedEnd + 2; at < unhashedEnd; at += 1 + binding.body.readUInt8(at)) {
    if (binding.body[at + 1] !== 32)
      kept.push(binding.body.subarray(at, at + 1 + binding.body.readUInt8(at)));
  }
  const rest = Buffer.concat(kept);
  const body = Buffer.concat([
    binding.body.subarray(0, hashedEnd),
    Buffer.from([0, rest.length]),
    rest,
    binding.body.subarray(unhashedEnd),
  ]);
  expect(body.length).toBeLessThan(binding.body.length - 64);
  const keys = Buffer.concat([
    ...packets.slice(0, -1).map(({ whole }) => whole),
    Buffer.from([0xc2, body.length]),
    body,
  ]);
  expect(await verdicts({ keys, signature: made })).toEqual({ gpg: [false, false], rdpull: 'signature-bad' });
  expect((await rdpullRefusal({ keys, signature: made }, gpg))?.message).toEndWith(
    'it does not say itself that it belongs to that key (gpg: cross-certify)',
  );
});
