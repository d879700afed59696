import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { packet, STRANGE_KEYS, signaturePacket } from '../fixtures/openpgp-packets.ts';
import { tarHeader } from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { makeArchive, makeUki } from '../fixtures/uki.ts';

/**
 * Whatever it is given, standard output holds the result and nothing else, and standard error no more than a person may want
 * to read: a serial console of 115,200 baud takes a second for each 11 KB.
 */
const LINES = { usual: 60, verbose: 450 };
const BYTES = { usual: 40_000, verbose: 200_000 };

const work = new TemporaryDirectory();
let gpg: GpgHome;
let keyring: string;
let rude: net.Server;
let rudeUrl: string;

const IMAGE = Buffer.from('an image\n'.repeat(1000));
const SUMS = `${createHash('sha256').update(IMAGE).digest('hex')}  image.raw\n`;

beforeAll(async () => {
  gpg = new GpgHome();
  const key = gpg.generateKey('Builder <builder@example.org>');
  keyring = work.write('good.pgp', gpg.exportKeys([key]));
  const signature = gpg.sign(SUMS, { by: key, armor: false });
  for (const [name, hostile] of Object.entries(SIGNATURES)) place(`signature-${name}`, hostile(signature));
  place('keyring', signature);
  for (const [name, hostile] of Object.entries(LISTS)) place(`list-${name}`, undefined, hostile());
  for (const [name, hostile] of Object.entries(KEYRINGS)) {
    work.write(`${name}.pgp`, hostile(gpg.exportKeys([key]), gpg.exportKeys([key], { armor: true })));
  }
  for (const [name, hostile] of Object.entries(TARBALLS)) work.write(`${name}.tar`, hostile());
  for (const [name, hostile] of Object.entries(DISKS)) work.write(`${name}.raw`, hostile());
  for (const [name, hostile] of Object.entries(UKIS)) hostile(`${name}.efi`);
  rude = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (request) => {
      const [, name = ''] = /^\S+ \/([a-z-]+)/.exec(request.toString('latin1')) ?? [];
      socket.end(HEADERS[name]?.() ?? 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n');
    });
  });
  rude.listen(0, '127.0.0.1');
  await new Promise((resolve) => rude.once('listening', resolve));
  const address = rude.address();
  rudeUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});
afterAll(() => {
  rude.close();
  gpg[Symbol.dispose]();
  work[Symbol.dispose]();
});

/** A directory with an image, its checksums and their signature. */
function place(name: string, signature: Uint8Array | undefined, list: string | Uint8Array = SUMS): void {
  fs.mkdirSync(work.file(name));
  work.write(`${name}/image.raw`, IMAGE);
  work.write(`${name}/SHA256SUMS`, list);
  if (signature !== undefined) work.write(`${name}/SHA256SUMS.gpg`, signature);
}

const SIGNATURES: Record<string, (good: Buffer) => Buffer> = {
  flood: (good) => Buffer.concat([...Array<Buffer>(4000).fill(signaturePacket(4, 0, 99)), good]),
  few: (good) => Buffer.concat([...Array<Buffer>(15).fill(signaturePacket(4, 0, 99)), good]),
  versions: (good) =>
    Buffer.concat([...[3, 5, 6, 7].map((version) => signaturePacket(version, 0, 22)), good]),
  markers: (good) => Buffer.concat([...Array<Buffer>(20_000).fill(packet(10, Buffer.from('PGP'))), good]),
  label: () => {
    const label = `PGP ${'A'.repeat(200_000)}`;
    return Buffer.from(`-----BEGIN ${label}-----\n\nAAAA\n-----END ${label}-----\n`);
  },
  escapes: () => Buffer.from('\u{1b}[2J\r\n'.repeat(20_000)),
  subpackets: () => packet(2, [4, 0, 22, 8, 0xff, 0xff], Buffer.alloc(0xffff, 1), [0, 0, 1, 2]),
  random: () => Buffer.concat([Buffer.from([0xc2]), noiseOf(200_000)]),
};

const KEYRINGS: Record<string, (binary: Buffer, armored: Buffer) => Uint8Array> = {
  strange: (binary) =>
    Buffer.concat([...Array<Buffer[]>(500).fill(Object.values(STRANGE_KEYS)).flat(), binary]),
  certified: (binary) => Buffer.concat([binary, ...Array<Buffer>(50_000).fill(signaturePacket(4, 0x10, 99))]),
  blocks: (_, armored) =>
    Buffer.from(
      `${armored
        .toString()
        .replace(/\n([A-Za-z0-9+/]{10})/, '\n****$1')
        .repeat(2000)}${armored}`,
    ),
  comments: (binary) => Buffer.concat([...Array<Buffer>(50_000).fill(packet(61, [1])), binary]),
  noise: () => noiseOf(1 << 20, 1),
  useless: () => Buffer.concat(Array<Buffer>(1000).fill(STRANGE_KEYS['of the unknown algorithm 99'])),
};

const LISTS: Record<string, () => string | Uint8Array> = {
  near: () => Array.from({ length: 10_000 }, (_, index) => `${'a'.repeat(64)}  imag${index}.raw\n`).join(''),
  long: () => `${'a'.repeat(64)}  ${'x'.repeat(900_000)}\n`,
  escapes: () => `${'a'.repeat(64)}  \u{1b}[2Jimage.raw\n`.repeat(5000),
  contradicting: () =>
    Array.from({ length: 5000 }, (_, index) => `${String(index).padStart(64, '0')}  image.raw\n`).join(''),
  page: () => `<!doctype html>${'<p>'.repeat(100_000)}`,
  utf16: () => Buffer.from('no list\n'.repeat(10_000), 'utf16le'),
};

const member = (index: number, fields: object = {}) => tarHeader({ name: `f${index}`, ...fields });

const TARBALLS: Record<string, () => Buffer> = {
  devices: () => tarball((index) => [member(index, { type: '3', major: 255, minor: index })]),
  unknown: () => tarball((index) => [member(index, { type: 'Z' })]),
  attributes: () =>
    tarball((index) => [
      tarHeader({ name: 'x', type: 'x', size: 512 }),
      Buffer.from('44 SCHILY.xattr.trusted.nobody.knows.it=value\n'.padEnd(512, '\0')),
      member(index),
    ]),
  keywords: () =>
    tarball((index) => [
      tarHeader({ name: 'x', type: 'x', size: 512 }),
      Buffer.from('29 NOBODY.knows.thisone=value\n'.padEnd(512, '\0')),
      member(index),
    ]),
  links: () => tarball((index) => [member(index, { type: '1', linkName: `nothing${index}` })]),
  names: () => tarball((index) => [tarHeader({ name: `\u{1b}[31m${index}${'\n'.repeat(50)}`, type: 'Z' })]),
};

function tarball(make: (index: number) => readonly Buffer[]): Buffer {
  return Buffer.concat([
    ...Array.from({ length: 5000 }, (_, index) => make(index)).flat(),
    Buffer.alloc(1024),
  ]);
}

const DISKS: Record<string, () => Buffer> = {
  'gpt-noise': () => Buffer.concat([Buffer.alloc(512), Buffer.from('EFI PART'), noiseOf(1 << 20, 2)]),
  'mbr-noise': () => {
    const disk = Buffer.concat([noiseOf(510, 3), Buffer.from([0x55, 0xaa]), noiseOf(1 << 20, 4)]);
    for (let entry = 446; entry < 510; entry += 16) disk.writeUInt8(0x83, entry + 4);
    return disk;
  },
  'mbr-endless': () => {
    const disk = Buffer.alloc(1 << 20);
    for (let at = 0; at < disk.length; at += 512) {
      disk.writeUInt8(0x05, at + 450);
      disk.writeUInt32LE(1, at + 454);
      disk.writeUInt32LE(1, at + 458);
      disk.writeUInt16BE(0x55aa, at + 510);
    }
    return disk;
  },
};

const UKIS: Record<string, (name: string) => void> = {
  expressions: (name) => {
    const pulls = Array.from(
      { length: 2000 },
      (_, index) => `rd.systemd.pull=raw,machine,x${index}:n:http://h/`,
    );
    makeUki(work, name, [['.cmdline', pulls.join(' ')]]);
  },
  words: (name) => makeUki(work, name, [['.cmdline', `${'\u{1b}[2J'.repeat(10_000)} rd.systemd.pul=raw`]]),
  sections: (name) =>
    makeUki(work, name, [
      ['.osrel', 'ID=\u{1b}[2J\n'.repeat(5000)],
      ['.cmdline', 'rd.systemd.pull=raw,machine,verify=no:x:file:///nowhere'],
    ]),
  initrd: (name) =>
    makeUki(work, name, [
      ['.cmdline', 'rd.systemd.pull=raw,machine:x:file:///nowhere'],
      [
        '.initrd',
        makeArchive(work, { 'etc/systemd/import-pubring.pgp': KEYRINGS['useless']?.(IMAGE, IMAGE) ?? '' }),
      ],
    ]),
  cut: (name) => {
    makeUki(work, name, [['.cmdline', 'x']]);
    fs.truncateSync(work.file(name), 700);
  },
};

const answer = (head: string) => `HTTP/1.1 200 OK\r\n${head}\r\n\r\n`;
const HEADERS: Record<string, () => string> = {
  many: () => answer(Array.from({ length: 20_000 }, (_, index) => `x-${index}: y`).join('\r\n')),
  long: () => answer(`x: ${'y'.repeat(1_000_000)}`),
  reason: () => `HTTP/1.1 500 ${'\u{1b}[2J'.repeat(5000)}\r\n\r\n`,
  redirect: () => `HTTP/1.1 302 Found\r\nlocation: /${'a'.repeat(30_000)}\r\n\r\n`,
  type: () =>
    `HTTP/1.1 401 No\r\nwww-authenticate: ${'\u{1b}x'.repeat(5000)}\r\ncontent-type: ${'t'.repeat(5000)}\r\n\r\n`,
  encoding: () => answer(`content-encoding: ${'e'.repeat(10_000)}`),
  noise: () => noiseOf(50_000, 5).toString('latin1'),
};

const pull = (...args: string[]) => [
  'pull',
  '--patience=0',
  '--local=x',
  '--force',
  `--image-root=${work.file('images')}`,
  ...args,
];
const image = (directory: string) => `file://${work.file(directory, 'image.raw')}`;

const RUNS: readonly (readonly [string, () => readonly string[]])[] = [
  ...Object.keys(SIGNATURES).map(
    (name) =>
      [`the signature ${name}`, () => pull(`--keyring=${keyring}`, image(`signature-${name}`))] as const,
  ),
  ...Object.keys(KEYRINGS).map(
    (name) =>
      [
        `the keyring ${name}`,
        () => ['verify', `--keyring=${work.file(`${name}.pgp`)}`, image('keyring')],
      ] as const,
  ),
  ...Object.keys(LISTS).map(
    (name) => [`the checksum file ${name}`, () => pull('--verify=checksum', image(`list-${name}`))] as const,
  ),
  ...Object.keys(TARBALLS).map(
    (name) =>
      [`the tarball ${name}`, () => pull('--verify=no', `file://${work.file(`${name}.tar`)}`)] as const,
  ),
  ...Object.keys(HEADERS).map(
    (name) => [`the headers ${name}`, () => pull('--verify=no', `${rudeUrl}/${name}/image.raw`)] as const,
  ),
  ...Object.keys(DISKS).map(
    (name) => [`the partition table ${name}`, () => ['attach', work.file(`${name}.raw`)]] as const,
  ),
  ...Object.keys(UKIS).map((name) => [`the UKI ${name}`, () => ['check', work.file(`${name}.efi`)]] as const),
];

describe.each(RUNS)('%s', (_, args) => {
  test.each([[[]], [['--json', '--verbose']], [['--json', '--quiet']]])('%p', async (how) => {
    const { status, stdout, stderr } = await rdpull([...args(), ...how]);
    const isVerbose = how.includes('--verbose');
    expect(status).toBeNumber();
    if (how.includes('--json')) {
      expect(stdout.split('\n')).toHaveLength(2);
      expect(JSON.parse(stdout)).toBeObject();
    } else if (status !== 0 && args()[0] !== 'check') {
      expect(stdout).toBe('');
    }
    expect(stdout).not.toMatch(/[^\n\P{Cc}]/u);
    expect(stderr).not.toMatch(/[^\n\P{Cc}]/u);
    expect(stderr.split('\n').length).toBeLessThan(isVerbose ? LINES.verbose : LINES.usual);
    expect(Buffer.byteLength(stderr)).toBeLessThan(isVerbose ? BYTES.verbose : BYTES.usual);
    // An error, and what to try.
    if (how.includes('--quiet')) expect(stderr.split('\n').length).toBeLessThanOrEqual(3);
    // Every line is rdpull's own, but for the stack that --verbose shows.
    if (!isVerbose)
      expect(stderr.split('\n').filter((line) => line !== '' && !line.startsWith('rdpull: '))).toEqual([]);
    if (args()[0] === 'attach' && status === 0) await rdpull(['detach', args()[1] ?? '']);
  });
});
