import fs from 'node:fs';
import path from 'node:path';
import { RDPULL } from '../../fixtures/executable.ts';
import { directBoot } from '../direct-boot.ts';
import type { Guest } from '../guest.ts';
import { makeDisk, pack } from '../image.ts';
import type { ImageServer } from '../image-server.ts';
import { expectBooted, expectConsole, type Lab } from '../lab.ts';
import { BALLAST, MARK, makeRootTree, PROOF, type RootTree, writeBallast } from '../root-tree.ts';
import type { Scenario } from '../scenario.ts';
import { makeSystemdRoot } from '../systemd-root.ts';
import { makeSystemdTree } from '../systemd-tree.ts';
import { tool } from '../tool.ts';
import { upgradedTree } from '../upgraded-tree.ts';

const LIMIT = 1500;
/** Of a guest that boots four times. */
const LONG_LIMIT = 4 * LIMIT;
const DEVICE = 'LABEL=images';
const V = 'machines/root.raw.v';
const IMAGE = 'root.raw.zst';
const INDEX = 'root.raw.caibx';
/** Of what is in chunks, as who builds an image again and again has it: with another one, every inode would be another one. */
const IMAGE_UUID = '6c8bd9d1-3f0b-4c5a-9d0e-2f4f7b1f6a11';

/** MiB of the image in chunks that nothing packs. */
const BALLAST_SIZE = 48;

const FOUND_IN_CACHE = /in chunks received, .* found in \/run\/rdpull\/cache\/machines\/root\.raw\.v\/root_/;

/** Packages of one source, which are 1.3 % of a Debian 12, and newer in its security archive. */
const UPGRADED = ['libzstd1', 'zstd'] as const;
/** Room for two of it. */
const DEBIAN_CACHE = '800M';
const SHOWS_PACKAGE = `echo "${MARK} upgraded $(dpkg-query --show --showformat='\${Version}' zstd) "`;

/** Waits for the blessing, and says what is in the cache then. */
const COMES_UP = `
i=0
while ls /run/rdpull/cache/${V} | grep -q '+' && [ $i -lt 240 ]; do sleep 1; i=$((i + 1)); done
echo "${MARK} cached $(ls /run/rdpull/cache/${V} | tr '\\n' ' ')"
echo "${MARK} mounted $(grep /run/rdpull/cache /proc/self/mountinfo)"
echo "${MARK} journal $(journalctl --boot --output=cat | grep 'of the cache is good' | tail -n 1)"
`;

/** Waits until the image is kept: it is not counted yet. Where it is, waits for the blessing. */
const IS_KEPT = `
i=0
while ! ls /run/rdpull/cache/${V} | grep -q '[.]raw$' && [ $i -lt 240 ]; do sleep 1; i=$((i + 1)); done
if ls /run/rdpull/cache/${V} | grep -q '+3-0'; then
  echo "${MARK} cached $(ls /run/rdpull/cache/${V} | tr '\\n' ' ')"
else ${COMES_UP} fi
`;

export const scenarios: readonly Scenario[] = [
  {
    name: 'cache',
    title:
      'a first boot fills the cache, a second one fetches nothing but the checksums, a third one has no server',
    async run(lab) {
      const tree = await makeSystemdRoot(lab.file('tree'), 'forky', COMES_UP);
      comeUpAsUsual(tree);
      await publish(lab, tree, 'root.raw');
      const disk = await cacheDisk(lab);
      const server = await lab.serve();
      const first = await boot(lab, server, disk);
      await expectBooted(lab, first, tree);
      expectConsole(first, new RegExp(`${MARK} cached root_\\w+\\.files root_\\w+\\.raw\\.zst `));
      expectConsole(first, new RegExp(`${MARK} mounted .* rw,nosuid,nodev,noexec,noatime `));
      expectConsole(first, new RegExp(`${MARK} journal .*Image root_\\w+ of the cache is good`));
      await first.switchedOff();

      server.requests.length = 0;
      const second = await boot(lab, server, disk);
      await expectBooted(lab, second, tree);
      expectConsole(second, /of zstd reused \(\/run\/rdpull\/cache\/.*\), nothing fetched/);
      const asked = server.requests.map(({ name }) => name);
      lab.notes.push(`second boot asked for ${asked.join(', ')}`);
      if (asked.includes('root.raw.zst')) throw new Error(`the image was fetched again: ${asked.join(', ')}`);
      await second.switchedOff();

      await server[Symbol.asyncDispose]();
      const third = await boot(lab, server, disk);
      await expectBooted(lab, third, tree);
      expectConsole(third, /of the cache, which worked, is used in its place/);
    },
  },
  {
    name: 'cache-on-demand',
    title:
      'an image that is read on demand is kept when all of it is there, and the next boot fetches nothing of it',
    async run(lab) {
      const tree = await makeSystemdRoot(lab.file('tree'), 'forky', IS_KEPT);
      comeUpAsUsual(tree);
      await makeDisk(tree, 'ext4', `${lab.served}/root.raw`);
      const disk = await cacheDisk(lab);
      const server = await lab.serve();
      const options = { name: 'root.raw', how: 'on-demand,verify=no' };
      const first = await boot(lab, server, disk, '', options);
      await expectBooted(lab, first, tree);
      expectConsole(first, /root\.raw can be read at \/dev\/loop/);
      expectConsole(first, new RegExp(`${MARK} cached root_\\w+\\+3-0\\.raw root_\\w+\\.files `));
      await first.switchedOff();

      server.requests.length = 0;
      const second = await boot(lab, server, disk, '', options);
      await expectBooted(lab, second, tree);
      expectConsole(second, /reused \(\/run\/rdpull\/cache\/.*\), nothing fetched/);
      expectConsole(second, new RegExp(`${MARK} cached root_\\w+\\.files root_\\w+\\.raw `));
      const fetched = server.requests.filter(({ method }) => method !== 'HEAD');
      if (fetched.length > 0)
        throw new Error(`it was asked for ${fetched.map(({ name }) => name).join(', ')}`);
    },
  },
  {
    name: 'cache-fallback',
    title: 'a new image that panics three times gives way to the one that worked',
    async run(lab) {
      const disk = await cacheDisk(lab);
      const good = await makeRootTree(lab.file('good'));
      await publish(lab, good, 'root.raw', 1);
      const server = await lab.serve();
      await fillCache(lab, disk, server);
      const bad = await makeRootTree(lab.file('bad'));
      fs.writeFileSync(path.join(bad.directory, 'usr/sbin/init'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
      await publish(lab, bad, 'root.raw', 2);
      const guest = await boot(lab, server, disk, 'panic=1', { reboots: true });
      await guest.waitFor(new RegExp(`${MARK} end`), /Entering emergency mode/);
      lab.report(guest);
      const panics = guest.text.match(/Kernel panic - not syncing/g) ?? [];
      if (panics.length !== 3) throw new Error(`${panics.length} panics, and not 3`);
      expectConsole(guest, new RegExp(`proof ${good.sha256} `));
      expectConsole(
        guest,
        /has no tries left: it was booted 3 times, and never came up; root_\w+ of the cache, which worked, is used in its place/,
      );
    },
  },
  {
    name: 'cache-chunks',
    title: 'an image in chunks of which 1 % has changed: less than 5 % of it is fetched',
    async run(lab) {
      const disk = await cacheDisk(lab);
      const tree = await makeRootTree(lab.file('tree'));
      writeBallast(tree.directory, BALLAST_SIZE);
      await publishChunks(lab, tree);
      const server = await lab.serve();
      await fillCache(lab, disk, server, INDEX);
      changeSome(path.join(tree.directory, BALLAST));
      const size = await publishChunks(lab, tree);
      server.requests.length = 0;
      const guest = await boot(lab, server, disk, '', { name: INDEX });
      await expectBooted(lab, guest, tree);
      expectConsole(guest, FOUND_IN_CACHE);
      const fetched = sentBy(server);
      const share = `${((100 * fetched) / size).toFixed(2)} %`;
      lab.notes.push(`${fetched} bytes were sent, ${share} of the image`);
      if (fetched > size / 20) throw new Error(`${share} of the image was fetched`);
    },
  },
  {
    name: 'cache-upgrade',
    title:
      'a Debian in chunks of which a package was upgraded: less than 5 % of it is fetched; a bit that the disk has lost is, too',
    async run(lab) {
      const disk = await cacheDisk(lab, 'cache.disk', DEBIAN_CACHE);
      const old = await makeSystemdTree(lab.file('old'), SHOWS_PACKAGE, 'bookworm');
      await publishChunks(lab, old);
      const server = await lab.serve();
      await fillCache(lab, disk, server, INDEX);
      const { tree, versions } = await upgradedTree(old, lab.file('new'), 'bookworm', UPGRADED);
      lab.notes.push(versions);
      const size = await publishChunks(lab, tree);
      const share = (bytes: number) =>
        `${bytes} bytes were sent, ${((100 * bytes) / size).toFixed(2)} % of the image`;

      server.requests.length = 0;
      const upgraded = await boot(lab, server, disk, '', { name: INDEX });
      await expectBooted(lab, upgraded, tree);
      expectConsole(upgraded, FOUND_IN_CACHE);
      const version = versions.split(' ').at(-1) ?? '';
      expectConsole(upgraded, new RegExp(`${MARK} upgraded ${RegExp.escape(version)}\\s`));
      const fetched = sentBy(server);
      lab.notes.push(share(fetched));
      if (fetched > size / 20) throw new Error(share(fetched));
      await upgraded.switchedOff();

      await flipBit(lab, disk, tree);
      server.requests.length = 0;
      const healed = await boot(lab, server, disk, '', { name: INDEX });
      await expectBooted(lab, healed, tree);
      expectConsole(healed, /of the cache is damaged, and is stored anew/);
      lab.notes.push(`one bit of the disk changed: ${share(sentBy(server))}`);
      if (sentBy(server) > size / 100) throw new Error(share(sentBy(server)));
    },
  },
  {
    name: 'cache-unusable',
    title: 'a cache that is missing, broken, full or read-only costs a line, and no boot',
    async run(lab) {
      await bootWithout(lab, [
        [
          'missing',
          'LABEL=nowhere',
          /the cache .* is not there \(systemctl status run-rdpull-cache\.mount says why\); the image is pulled without it/,
          asItIs,
        ],
        [
          'broken',
          '/dev/vda',
          /the cache .* (?:is not there|lies in memory).*; the image is pulled without it/,
          breakDisk,
        ],
        ['full', DEVICE, /the image is not kept: the cache .* has no room for /, fillDisk],
        ['read-only', DEVICE, /is read-only: images that worked are used, and none is kept/, asItIs],
      ]);
    },
  },
  {
    name: 'cache-damaged',
    title: 'a cache whose file system is damaged where the images are costs a line, and no boot',
    async run(lab) {
      const said = /the cache .*: EUCLEAN: the file system is damaged: check it with fsck/;
      await bootWithout(lab, [['damaged', DEVICE, said, damageDisk]]);
    },
  },
];

/** What a cache is like, its device, what is said of it, and what makes it so. */
type UnusableCache = readonly [string, string, RegExp, (disk: string) => Promise<void>];

async function bootWithout(lab: Lab, cases: readonly UnusableCache[]): Promise<void> {
  const tree = await makeRootTree(lab.file('tree'));
  await publish(lab, tree, 'root.raw');
  const server = await lab.serve();
  for (const [name, device, said, spoil] of cases) {
    const disk = await cacheDisk(lab, `${name}.disk`);
    await spoil(disk);
    const options = name === 'read-only' ? { readOnly: true } : {};
    await using guest = await boot(lab, server, disk, '', { ...options, device });
    await expectBooted(lab, guest, tree);
    expectConsole(guest, said);
  }
}

/** Bytes that a server has sent. */
function sentBy({ requests }: ImageServer): number {
  return requests.reduce((sum, { bytes }) => sum + bytes, 0);
}

interface BootOptions {
  /** Of the file on the server. */
  readonly name?: string;
  readonly reboots?: boolean;
  readonly device?: string;
  readonly readOnly?: boolean;
  /** Options of the expression. */
  readonly how?: string;
}

function boot(
  lab: Lab,
  server: ImageServer,
  disk: string,
  more = '',
  {
    reboots = false,
    device = DEVICE,
    readOnly = false,
    name = IMAGE,
    how = 'verify=checksum',
  }: BootOptions = {},
): Promise<Guest> {
  return directBoot(lab, {
    limit: reboots ? LONG_LIMIT : LIMIT,
    reboots,
    options: ['-drive', `file=${disk},format=raw,if=virtio${readOnly ? ',readonly=on' : ''}`],
    commandLine: `rd.systemd.pull=raw,machine,${how}:root:${urlOf(server)}${name} rd.rdpull.cache=${device} ${more}`,
  });
}

const urls = new WeakMap<ImageServer, string>();
/** Also of one that is gone. */
function urlOf(server: ImageServer): string {
  const known = urls.get(server) ?? server.url('');
  urls.set(server, known);
  return known;
}

/** The image of a tree, packed, with its checksum, as of a day in 2026. */
async function publish(lab: Lab, tree: RootTree, name: string, day = 1): Promise<void> {
  const image = `${lab.served}/${name}`;
  for (const old of [image, `${image}.zst`]) fs.rmSync(old, { force: true });
  await makeDisk(tree, 'ext4', image);
  const packed = await pack(image, 'zst');
  const date = new Date(Date.UTC(2026, 0, day));
  fs.utimesSync(packed, date, date);
  const digest = new Bun.CryptoHasher('sha256').update(fs.readFileSync(packed)).digest('hex');
  fs.writeFileSync(`${lab.served}/SHA256SUMS`, `${digest}  ${path.basename(packed)}\n`);
}

/**
 * The image of a tree in chunks of casync, and the checksum of its index.
 *
 * @returns bytes of the image
 */
async function publishChunks(lab: Lab, tree: RootTree): Promise<number> {
  const image = lab.file('root.raw');
  fs.rmSync(image, { force: true });
  await makeDisk(tree, 'ext4', image, 'x64', IMAGE_UUID);
  const store = lab.file('default.castr');
  await tool([
    'casync',
    'make',
    '--chunk-size=65536',
    `--store=${store}`,
    path.join(lab.served, INDEX),
    image,
  ]);
  // The server of the lab finds a file by its name alone.
  for (const chunk of fs.globSync('????/*', { cwd: store }))
    fs.copyFileSync(path.join(store, chunk), path.join(lab.served, path.basename(chunk)));
  const digest = new Bun.CryptoHasher('sha256').update(fs.readFileSync(path.join(lab.served, INDEX)));
  fs.writeFileSync(`${lab.served}/SHA256SUMS`, `${digest.digest('hex')}  ${INDEX}\n`);
  return fs.statSync(image).size;
}

/** Changes 1 % of a file, in one piece. */
function changeSome(file: string): void {
  const { size } = fs.statSync(file);
  const fd = fs.openSync(file, 'r+');
  for (let at = 0; at < size / 100; at += 65536)
    fs.writeSync(fd, crypto.getRandomValues(new Uint8Array(65536)), 0, 65536, (size >> 1) + at);
  fs.closeSync(fd);
}

/** The root of the lab is up when multi-user.target would be. */
function comeUpAsUsual({ directory }: RootTree): void {
  fs.symlinkSync('busybox', path.join(directory, 'usr/bin/mv'));
  fs.writeFileSync(
    path.join(directory, 'etc/systemd/system/lab.target'),
    '[Unit]\nRequires=basic.target\nWants=lab.service systemd-journald.service\nAllowIsolate=yes\n',
  );
}

async function cacheDisk(lab: Lab, name = 'cache.disk', size = '160M'): Promise<string> {
  const file = lab.file(name);
  await tool(['truncate', '--size', size, file]);
  await tool(['mkfs.ext4', '-q', '-L', 'images', file]);
  return file;
}

/** What an earlier boot has left, and blessed: pulled on this machine, into the file system of the disk. */
async function fillCache(lab: Lab, disk: string, { port }: ImageServer, name = IMAGE): Promise<void> {
  const mount = lab.file('mount');
  const script = `
mkdir -p "$1"
mount -o loop "$2" "$1"
"$3" pull --quiet --verify=checksum --image-root="$1.out" --local=root --cache="$1" "$4" >/dev/null
for each in "$1"/${V}/*+*; do mv "$each" "\${each%%+*}.\${each#*+*.}"; done
umount "$1"
`;
  const url = `http://127.0.0.1:${port}/${name}`;
  await tool(['unshare', '-m', 'sh', '-euc', script, 'sh', mount, disk, RDPULL, url]);
}

/** Changes one bit of what the disk has of a file of the root, which is in no other image. */
async function flipBit(lab: Lab, disk: string, { directory }: RootTree): Promise<void> {
  const script = `
mount -o loop "$2" "$1"
for image in "$1"/${V}/*.raw; do python3 -c "$4" "$image" "$3"; done >"$2.flipped"
umount "$1"
[ -s "$2.flipped" ]
`;
  const flip = `
import mmap, sys
with open(sys.argv[1], 'r+b') as file, open(sys.argv[2], 'rb') as wanted:
    image = mmap.mmap(file.fileno(), 0)
    at = image.find(wanted.read(4096))
    if at >= 0:
        image[at] ^= 1
        print(at)
`;
  const file = path.join(directory, PROOF);
  await tool(['unshare', '-m', 'sh', '-euc', script, 'sh', lab.file('mount'), disk, file, flip]);
}

async function breakDisk(disk: string): Promise<void> {
  await tool(['dd', 'if=/dev/urandom', `of=${disk}`, 'bs=1M', 'count=8', 'conv=notrunc', 'status=none']);
}

/** The file system can be mounted, and no longer knows what its directory of images is. */
async function damageDisk(disk: string): Promise<void> {
  const directory = path.dirname(V);
  await tool(['debugfs', '-w', '-R', `mkdir ${directory}`, disk]);
  await tool(['debugfs', '-w', '-R', `clri ${directory}`, disk]);
}

async function fillDisk(disk: string): Promise<void> {
  const mount = `${disk}.mount`;
  const script =
    'mkdir "$1"; mount -o loop "$2" "$1"; dd if=/dev/zero of="$1/filler" bs=1M status=none || true; umount "$1"';
  await tool(['unshare', '-m', 'sh', '-uc', script, 'sh', mount, disk]);
}

async function asItIs(): Promise<void> {}
