import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { verifyCmsSignature } from '../../../src/verify/cms/signature.ts';
import { loadTrustedCertificates } from '../../../src/verify/cms/trusted-certificates.ts';
import type { Signer } from '../../../src/verify/signer.ts';
import { type Identity, ImageSigner } from '../../fixtures/image-signer.ts';
import { run } from '../../fixtures/run.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const DATA = `${'a'.repeat(64)}  image.raw\n`;
const DAY = 86_400_000;

const signer = new ImageSigner();
const scratch = new TemporaryDirectory();
let builder: Identity;
let other: Identity;

beforeAll(() => {
  builder = signer.identity({ extensions: ['subjectKeyIdentifier=hash'] });
  other = signer.identity({ subject: '/CN=Somebody Else' });
});
afterAll(() => {
  signer[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

interface Case {
  readonly signature: Uint8Array;
  readonly trusted?: readonly Identity[];
  readonly data?: string | Uint8Array;
  readonly now?: Date;
}

function verify({ signature, trusted = [builder], data = DATA, now = new Date() }: Case): Promise<Signer> {
  const certificates = trusted.map(({ certificate }) => certificate);
  return verifyCmsSignature(
    {
      url: 'http://h/SHA256SUMS',
      content: Buffer.from(data),
      signatureUrl: 'http://h/SHA256SUMS.p7s',
      signature,
    },
    loadTrustedCertificates({ certificates }),
    now,
  );
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

/** Whether OpenSSL, called as systemd calls it, accepts the same. */
function opensslAccepts({ signature, trusted = [builder], data = DATA }: Case): boolean {
  const file = scratch.write('signature', signature);
  const bundle = scratch.write(
    'bundle.pem',
    trusted.map(({ certificate }) => fs.readFileSync(certificate, 'utf8')).join(''),
  );
  const content = scratch.write('content', Buffer.from(data));
  return (
    spawnSync('openssl', [
      ...['smime', '-verify', '-binary', '-inform', 'DER', '-in', file, '-content', content],
      ...['-certfile', bundle, '-nointern', '-noverify', '-out', '/dev/null'],
    ]).status === 0
  );
}

describe('accepts a signature', () => {
  test.each([
    ['openssl cms', 'cms', []],
    ['openssl cms without attributes', 'cms', ['-noattr']],
    ['openssl cms that names the key and not the issuer', 'cms', ['-keyid']],
    ['openssl cms without the certificate in it', 'cms', ['-nocerts']],
    ['openssl cms with SHA-384', 'cms', ['-md', 'sha384']],
    ['openssl cms with SHA-512', 'cms', ['-md', 'sha512']],
    ['openssl smime', 'smime', []],
    ['openssl smime without attributes', 'smime', ['-noattr']],
    ['openssl cms in PEM', 'cms', ['-outform', 'PEM']],
    ['openssl smime in PEM', 'smime', ['-outform', 'PEM']],
    ['RSA-PSS', 'cms', ['-keyopt', 'rsa_padding_mode:pss']],
  ])('of %s', async (_, command, how) => {
    const signature = signer.sign(DATA, builder, how, command);
    expect(await verify({ signature })).toMatchObject({ by: 'x509', userId: 'CN=Image Builder' });
    // What systemd calls, PKCS7_verify(), knows neither PSS nor key identifiers.
    if (!how.some((option) => ['PEM', '-keyopt', '-keyid'].includes(option)))
      expect(opensslAccepts({ signature })).toBe(true);
  });

  test.each(['rsa:3072', 'rsa:4096', 'ec:P-256', 'ec:P-384', 'ec:P-521'])('by a key %s', async (key) => {
    const identity = signer.identity({ key });
    const signature = signer.sign(DATA, identity);
    expect(await verify({ signature, trusted: [other, identity] })).toMatchObject({ by: 'x509' });
  });

  test('and tells whose certificate, and when', async () => {
    const before = Date.now();
    const found = await verify({ signature: signer.sign(DATA, builder), trusted: [other, builder] });
    expect(found.fingerprint).toBe(
      createHash('sha256')
        .update(run(['openssl', 'x509', '-in', builder.certificate, '-outform', 'DER']))
        .digest('hex')
        .toUpperCase(),
    );
    expect(Math.abs((found.createdAt?.getTime() ?? 0) - before)).toBeLessThan(60_000);
  });

  test('beside one by somebody unknown', async () => {
    const signature = signer.sign(DATA, other, ['-signer', builder.certificate, '-inkey', builder.key]);
    expect(await verify({ signature })).toMatchObject({ userId: 'CN=Image Builder' });
  });

  test.each(['ec:brainpoolP256r1', 'ec:brainpoolP384r1', 'ec:secp256k1'])(
    'beside one by somebody trusted with a key that cannot be checked (%s), in either order',
    async (key) => {
      const good = signer.identity({ key: 'ec:P-256' });
      const unchecked = signer.identity({ key, subject: '/CN=Brainpool' });
      const trusted = [unchecked, good];
      for (const [first, second] of [
        [good, unchecked],
        [unchecked, good],
      ] as const) {
        const signature = signer.sign(DATA, first, ['-signer', second.certificate, '-inkey', second.key]);
        expect(await verify({ signature, trusted })).toMatchObject({ userId: 'CN=Image Builder' });
        expect(opensslAccepts({ signature, trusted })).toBe(true);
        // The good one counts, and nothing else: not over another file, and not without it.
        const data = DATA.replace('a', 'b');
        expect((await refusal({ signature, trusted, data })).code).toBe('signature-bad');
        expect((await refusal({ signature, trusted: [unchecked] })).code).toBe('signature-weak');
      }
    },
  );

  test('by a certificate that is for signing', async () => {
    const identity = signer.identity({ extensions: ['keyUsage=critical,digitalSignature'] });
    expect(await verify({ signature: signer.sign(DATA, identity), trusted: [identity] })).toBeDefined();
  });
});

describe('does not accept', () => {
  test('a good signature beside one by somebody trusted over something else', async () => {
    const both = signer.sign(DATA, other, ['-signer', builder.certificate, '-inkey', builder.key]);
    // What the file ends with is the signature of one of the two.
    const signature = Buffer.from(both);
    signature.writeUInt8((signature.at(-1) ?? 0) ^ 1, signature.length - 1);
    const trusted = [builder, other];
    expect(await verify({ signature: both, trusted })).toMatchObject({ by: 'x509' });
    expect((await refusal({ signature, trusted })).code).toBe('signature-bad');
    expect(opensslAccepts({ signature, trusted })).toBe(false);
    const alone = await Promise.allSettled(trusted.map((each) => verify({ signature, trusted: [each] })));
    expect(alone.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test.each([[[]], [['-noattr']]])('a changed file (%p)', async (how) => {
    const attempt = { signature: signer.sign(DATA, builder, how), data: DATA.replace('a', 'b') };
    const error = await refusal(attempt);
    expect(error.code).toBe('signature-bad');
    expect(error.message).toBe(
      'the signature http://h/SHA256SUMS.p7s does not match http://h/SHA256SUMS: this is not the file that the holder of the certificate CN=Image Builder signed',
    );
    expect(opensslAccepts(attempt)).toBe(false);
  });

  test('a flipped bit anywhere in it, unless OpenSSL does not mind either', async () => {
    const signature = signer.sign(DATA, builder, ['-nocerts']);
    for (let position = 0; position < signature.length; position++) {
      const changed = Buffer.from(signature);
      changed[position] = (changed[position] ?? 0) ^ 0x01;
      const accepted = await verify({ signature: changed }).then(
        () => true,
        (error) => {
          expect(error).toBeInstanceOf(RdpullError);
          return false;
        },
      );
      if (accepted)
        expect({ position, openssl: opensslAccepts({ signature: changed }) }).toEqual({
          position,
          openssl: true,
        });
    }
  });

  test('a certificate that comes with the signature only', async () => {
    const error = await refusal({ signature: signer.sign(DATA, other) });
    expect(error.code).toBe('signature-unknown-key');
    expect(error.message).toBe(
      `the signature http://h/SHA256SUMS.p7s was made with a certificate that is not in ${builder.certificate}`,
    );
  });

  test('a certificate that a trusted one has issued: it is no authority', async () => {
    const leaf = scratch.file('leaf');
    run([
      'openssl',
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      `${leaf}.key`,
      '-out',
      `${leaf}.csr`,
      '-subj',
      '/CN=leaf',
    ]);
    run([
      'openssl',
      'x509',
      '-req',
      '-in',
      `${leaf}.csr`,
      '-CA',
      builder.certificate,
      '-CAkey',
      builder.key,
      '-CAcreateserial',
      '-out',
      `${leaf}.crt`,
    ]);
    const signature = signer.sign(DATA, { certificate: `${leaf}.crt`, key: `${leaf}.key` }, [
      '-certfile',
      builder.certificate,
    ]);
    expect((await refusal({ signature })).code).toBe('signature-unknown-key');
  });

  test('a name that is right with a key that is not', async () => {
    const forged = signer.identity();
    const certificate = scratch.write('forged.crt', fs.readFileSync(forged.certificate));
    const signature = signer.sign(DATA, { certificate, key: forged.key });
    expect((await refusal({ signature })).code).toMatch(/signature-(unknown-key|bad)/);
  });

  test('an expired certificate, which OpenSSL does not look at', async () => {
    const expired = signer.identity({
      notBefore: new Date(Date.now() - 10 * DAY),
      notAfter: new Date(Date.now() - DAY),
    });
    const attempt = { signature: signer.sign(DATA, expired), trusted: [expired] };
    const error = await refusal(attempt);
    expect(error.code).toBe('signature-key-expired');
    expect(error.message).toMatch(
      /^the certificate CN=Image Builder, which made the signature \S+, expired on \S+Z; this machine's clock says \S+Z$/,
    );
    expect(opensslAccepts(attempt)).toBe(true);
  });

  test('a certificate that is not valid yet, and blames the clock', async () => {
    const error = await refusal({
      signature: signer.sign(DATA, builder, ['-noattr']),
      now: new Date('1970-01-01T00:00:00Z'),
    });
    expect(error.code).toBe('signature-key-expired');
    expect(error.message).toContain('valid only from');
    expect(error.message).toContain("this machine's clock says 1970-01-01");
    expect(error.hint).toContain('set the clock');
  });

  test('a signature from the future, and blames the clock', async () => {
    const error = await refusal({
      signature: signer.sign(DATA, builder),
      now: new Date(Date.now() - DAY / 2),
    });
    expect(error.code).toBe('signature-bad');
    expect(error.message).toContain('is not valid yet: it is dated');
  });

  test.each(['sha1', 'md5', 'sha224'])('the digest %s', async (digest) => {
    const error = await refusal({ signature: signer.sign(DATA, builder, ['-md', digest]) });
    expect(error.code).toBe('signature-weak');
  });

  test('RSA-PSS whose own digest is weak', async () => {
    const signature = signer.sign(DATA, builder, [
      ...['-keyopt', 'rsa_padding_mode:pss', '-keyopt', 'rsa_mgf1_md:sha1', '-md', 'sha1'],
    ]);
    expect((await refusal({ signature })).code).toBe('signature-weak');
  });

  test.each(['rsa:1024', 'ec:secp256k1'])('a key %s', async (key) => {
    const weak = signer.identity({ key });
    const error = await refusal({ signature: signer.sign(DATA, weak), trusted: [weak] });
    expect(error.code).toBe('signature-weak');
  });

  test('a key that is for RSASSA-PSS alone', async () => {
    const pss = signer.identity({ key: 'rsa-pss' });
    const signature = signer.sign(DATA, pss, ['-keyopt', 'rsa_padding_mode:pss']);
    const error = await refusal({ signature, trusted: [pss] });
    expect(error.code).toBe('signature-weak');
    expect(error.message).toContain('of an unknown kind');
  });

  test('a certificate that is for something else', async () => {
    const identity = signer.identity({ extensions: ['keyUsage=critical,keyCertSign,cRLSign'] });
    const error = await refusal({ signature: signer.sign(DATA, identity), trusted: [identity] });
    expect(error.code).toBe('signature-bad');
    expect(error.message).toContain('is not for signing files');
  });
});

describe('does not take for a signature', () => {
  const reasonOf = async (signature: Uint8Array) => {
    const error = await refusal({ signature });
    expect(error.code).toBe('signature-malformed');
    return error.message;
  };

  test('one that carries the file in itself', async () => {
    expect(await reasonOf(signer.sign(DATA, builder, ['-nodetach']))).toContain(
      'carries the signed file in itself',
    );
  });

  test('an S/MIME message', async () => {
    expect(await reasonOf(signer.sign(DATA, builder, ['-outform', 'SMIME']))).toContain(
      'it is an S/MIME message',
    );
  });

  test('one with something behind it', async () => {
    const signature = signer.sign(DATA, builder);
    expect(await reasonOf(Buffer.concat([signature, Buffer.from('x')]))).toContain('something follows it');
  });

  test('one that was cut short', async () => {
    const signature = signer.sign(DATA, builder);
    for (const length of [1, 2, 10, 100, signature.length - 1]) await reasonOf(signature.subarray(0, length));
  });

  test('other DER, a certificate for instance', async () => {
    await reasonOf(run(['openssl', 'x509', '-in', builder.certificate, '-outform', 'DER']));
  });

  test('encrypted data', async () => {
    await reasonOf(
      run(['openssl', 'cms', '-encrypt', '-binary', '-outform', 'DER', builder.certificate], {
        input: Buffer.from(DATA),
      }),
    );
  });

  test('nested sequences without end, quickly', async () => {
    await reasonOf(Buffer.alloc(200_000, Buffer.from([0x30, 0x80])));
  });

  test('more than is read', async () => {
    expect(await reasonOf(Buffer.alloc(300_000, 0x30))).toContain('more than the 262144 that are read');
  });

  test('arbitrary bytes, which it does not send to the terminal', async () => {
    expect(await reasonOf(Buffer.from('\x1b[31m<html>'))).not.toContain('\x1b');
  });
});
