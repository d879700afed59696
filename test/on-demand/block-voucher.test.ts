import { describe, expect, test } from 'bun:test';
import { blockVoucher, type VoucherQuestion } from '../../src/on-demand/block-voucher.ts';

const DIGEST = 'a'.repeat(64);
const listing = (...names: string[]) => ({
  promised: { digest: DIGEST, manifestUrl: 'http://h/SHA256SUMS', signedBy: undefined },
  digestOf: (name: string) => (names.includes(name) ? DIGEST : undefined),
});

const QUESTION: VoucherQuestion = {
  verify: { kind: 'signature' },
  demand: listing('image.raw.xz'),
  url: 'http://h/d/image.raw.xz',
  target: '/run/machines/rootdisk.raw',
  commandLine: 'quiet',
  isMountedPlainly: false,
  inInitrd: false,
};
const ask = (changes: Partial<VoucherQuestion>) => blockVoucher({ ...QUESTION, ...changes });

const SIGNED = 'root=dissect systemd.image_policy=root=signed dm_verity.require_signatures=1';

test('verify=no asks for nothing, and so nothing has to vouch', () => {
  const demand = { promised: undefined, digestOf: () => undefined };
  expect(ask({ verify: { kind: 'no' }, demand })).toEqual({ kind: 'not-asked' });
});

describe('a digest of the whole vouches for no part', () => {
  test.each([
    ['signature', { kind: 'signature' }],
    ['checksum', { kind: 'checksum' }],
    ['sha256', { kind: 'sha256', digest: DIGEST }],
  ] as const)('%s', (name, verify) => {
    expect(ask({ verify })).toEqual({
      kind: 'none',
      reason: `is vouched for as a whole (verify=${name}), and nothing vouches for a part of it`,
      remedy: 'make an image with dm-verity, and list image.roothash in the checksum file',
    });
    expect(ask({ verify, inInitrd: true })).toMatchObject({ kind: 'none' });
  });
});

describe('dm-verity does', () => {
  test.each([
    ['roothash=abc', 'roothash='],
    ['roothash=abc root=/dev/mapper/root usrhash=def mount.usr=/dev/mapper/usr', 'roothash='],
    ['quiet usrhash=abc root=tmpfs', 'usrhash='],
    [SIGNED, 'systemd.image_policy=root=signed'],
    [
      'systemd.image-policy=usr=signed+absent:root=signed dm_verity.require_signatures=Y root=dissect-force',
      'systemd.image_policy=usr=signed+absent:root=signed',
    ],
  ])('where the command line insists on it: %s', (commandLine, word) => {
    expect(ask({ commandLine, inInitrd: true })).toEqual({
      kind: 'verity',
      because: `${word} stands on the kernel command line`,
    });
    // On a running host it is about that host's own root.
    expect(ask({ commandLine, inInitrd: false })).toMatchObject({ kind: 'none' });
  });

  test('where the checksum file lists the root hash, for somebody who mounts it by that', () => {
    const demand = listing('image.raw.xz', 'image.roothash');
    expect(ask({ demand })).toEqual({ kind: 'verity', because: 'the checksum file lists "image.roothash"' });
    expect(ask({ demand: listing('other.roothash') })).toMatchObject({ kind: 'none' });
  });
});

describe('it does not count', () => {
  test.each(['roothash=abc', 'usrhash=abc root=tmpfs', SIGNED])(
    'for another image than the root: %s',
    (commandLine) => {
      for (const target of [
        '/run/machines/data.raw',
        '/run/machines/rootdisk2.raw',
        '/run/rootdisk.raw/x.raw',
      ]) {
        expect(ask({ target, commandLine, inInitrd: true })).toMatchObject({
          kind: 'none',
          remedy: expect.stringContaining('give it the local name rootdisk if it is the root'),
        });
      }
    },
  );

  test.each([
    'roothash=',
    'roothash=abc root=/dev/disk/by-loop-ref/x.raw-part1',
    'roothash=abc mount.usr=LABEL=usr',
    'usrhash=abc',
    'usrhash=abc root=LABEL=root',
    `${SIGNED} mount.usr=LABEL=usr`,
    'systemd.image_policy=root=signed dm_verity.require_signatures=1 root=/dev/disk/by-loop-ref/x.raw-part1',
    'systemd.image_policy=root=signed dm_verity.require_signatures=0',
    'systemd.image_policy=root=signed root=dissect',
    'systemd.image_policy=root=verity root=dissect dm_verity.require_signatures=1',
    `${SIGNED} systemd.image_policy=*`,
    `${SIGNED} systemd.image-policy=*`,
    `${SIGNED} root=gpt-auto`,
    `${SIGNED} root=gpt-auto-force`,
    'systemd.image_policy=root=signed dm_verity.require_signatures=1',
    'roothash=abc root=gpt-auto',
    'roothash=abc root=dissect',
    'roothash=abc systemd.verity=no',
    'roothash=abc rd.systemd.verity=0',
    'usrhash=abc root=tmpfs systemd.verity=off',
  ])('where it can be passed by: %s', (commandLine) => {
    expect(ask({ commandLine, inInitrd: true })).toMatchObject({ kind: 'none' });
  });

  test('for what rdpull itself mounts, without it', () => {
    const demand = listing('image.raw.xz', 'image.roothash');
    expect(ask({ isMountedPlainly: true, commandLine: SIGNED, inInitrd: true })).toMatchObject({
      kind: 'none',
    });
    expect(ask({ isMountedPlainly: true, commandLine: 'roothash=abc' })).toMatchObject({ kind: 'none' });
    expect(ask({ isMountedPlainly: true, demand })).toMatchObject({ kind: 'none' });
  });

  test('in an initrd, that somebody could mount it by its root hash', () => {
    expect(ask({ demand: listing('image.roothash'), inInitrd: true })).toMatchObject({ kind: 'none' });
  });
});
