import fs from 'node:fs';
import path from 'node:path';
import { httpBoot, serveUki } from '../test/boot/http-boot.ts';
import { makeDisk, pack } from '../test/boot/image.ts';
import { Lab } from '../test/boot/lab.ts';
import { MARK, makeRootTree } from '../test/boot/root-tree.ts';
import { GpgHome } from '../test/fixtures/gpg.ts';
import type { Recording } from './boot-picture-recording.ts';

/** Of the terminal that is recorded. */
const COLUMNS = 100;
const ROWS = 34;

const MIB = 1024 * 1024;

/** What does not get smaller by xz, and how fast it is served, in bytes and bytes per second: about 25 s. */
const CONTENT = 96 * MIB;
const RATE = 4 * MIB;

/** What the firmware says when it begins, and the last words of the boot. */
const BEGINNING = '>>Start HTTP Boot';
const END = /login: $/;

/** Less of the kernel than in other machines of the lab, and lines as long as the picture is wide. */
const COMMAND_LINE = [
  'loglevel=4',
  `systemd.tty.columns.console=${COLUMNS}`,
  `systemd.tty.rows.console=${ROWS}`,
  'rd.systemd.pull=raw,machine,verify=signature,bootorigin::',
].join(' ');

/** Says where the root came from, and lets people in. */
const INIT = `#!/bin/sh
PATH=/usr/bin
hostname netbooted
exec >/dev/console 2>&1 </dev/console
echo
echo "${MARK} booted"
for file in /sys/block/loop*/loop/backing_file; do
  [ ! -e "$file" ] || echo "${MARK} $file is $(cat "$file")"
done
echo "${MARK} / is $(awk '$2 == "/" && $1 != "rootfs" { print $1 ", " $3 ", " $4 }' /proc/mounts)"
exec getty -n -l /usr/bin/login 115200 console
`;

/**
 * Boots a machine over HTTP whose root is a signed image, and returns what its serial console said, from the firmware's
 * first request to the login.
 *
 * @throws BootFailure when it does not come up
 */
export async function recordBoot(): Promise<Recording> {
  await using lab = new Lab('boot-picture');
  using gpg = new GpgHome();
  const key = gpg.generateKey('Image Builder <images@example.com>');
  await makeImage(lab, gpg, key);
  const server = await serveUki(lab, COMMAND_LINE, {
    files: { 'etc/systemd/import-pubring.pgp': { content: gpg.exportKeys([key]) } },
    server: { rates: { 'image.raw.xz': RATE } },
  });
  const guest = httpBoot(lab, server);
  await guest.waitFor(new RegExp(`${MARK} booted`));
  await guest.waitFor(END);
  return trimmed(guest.pieces);
}

async function makeImage(lab: Lab, gpg: GpgHome, key: string): Promise<void> {
  const tree = await makeRootTree(lab.file('tree'));
  const write = (name: string, content: string | Uint8Array) =>
    fs.writeFileSync(path.join(tree.directory, name), content);
  const random = Buffer.alloc(CONTENT);
  for (let at = 0; at < CONTENT; at += 65536) crypto.getRandomValues(random.subarray(at, at + 65536));
  write('usr/lib/content', random);
  write('usr/sbin/init', INIT);

  for (const applet of ['getty', 'hostname', 'login'])
    fs.symlinkSync('busybox', path.join(tree.directory, 'usr/bin', applet));
  await makeDisk(tree, 'ext4', `${lab.served}/image.raw`);
  const packed = await pack(`${lab.served}/image.raw`, 'xz');
  const digest = new Bun.CryptoHasher('sha256').update(fs.readFileSync(packed)).digest('hex');
  const sums = `${digest}  image.raw.xz\n`;
  fs.writeFileSync(`${lab.served}/SHA256SUMS`, sums);
  fs.writeFileSync(`${lab.served}/SHA256SUMS.gpg`, gpg.sign(sums, { by: key, armor: false }));
}

/** Times count from the beginning. */
function trimmed(pieces: readonly { readonly seconds: number; readonly text: string }[]): Recording {
  const whole = pieces.map(({ text }) => text).join('');
  const beginning = whole.indexOf(BEGINNING);
  if (beginning < 0) throw new Error(`the console does not say "${BEGINNING}"`);
  const outputs: { seconds: number; text: string }[] = [];
  let position = 0;
  let first: number | undefined;
  for (const { seconds, text } of pieces) {
    const kept = text.slice(Math.max(0, beginning - position));
    position += text.length;
    if (kept === '') continue;
    first ??= seconds;
    outputs.push({ seconds: seconds - first, text: kept });
  }
  return { columns: COLUMNS, rows: ROWS, outputs };
}
