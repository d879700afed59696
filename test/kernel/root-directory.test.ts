import { expect, test } from 'bun:test';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const MODULE = new URL('../../src/kernel/root-directory.ts', import.meta.url).pathname;

/** What runs has to be there, wherever the sources and the runtime lie. */
const NEEDED = new Set([MODULE, process.execPath].map((needed) => needed.split('/')[1]));

/** Another root directory in /mnt, in which everything runs as here. */
const NEW_ROOT = `mount -t tmpfs tmpfs /mnt && mkdir /mnt/here &&
  for each in ${[...NEEDED.union(new Set(['usr', 'lib', 'lib64', 'bin', 'sbin']))].join(' ')}; do
    [ -e /$each ] || continue
    mkdir /mnt/$each && mount --rbind /$each /mnt/$each || exit
  done`;

/** Runs a script in a mount namespace of its own, and JavaScript as "$0" -e "$1" in there. */
function unshared(namespaces: readonly string[], script: string, code: string): string[] {
  const command = ['unshare', '--mount', ...namespaces, 'sh', '-c', script, process.execPath, code];
  return run(command).toString().trim().split('\n');
}

test('a process follows PID 1 to its new root, and knows its way there', () => {
  using directory = new TemporaryDirectory();
  const moved = directory.file('moved');
  const code = `
    const fs = require('node:fs');
    const { RootFollower } = require(${JSON.stringify(MODULE)});
    const see = (...what) => console.log(...what, fs.existsSync('/here'));
    const follower = RootFollower.open();
    see('before', follower.follow());
    for (;;) {
      await Bun.sleep(10);
      if (fs.existsSync(${JSON.stringify(moved)})) break;
    }
    see('left behind');
    for (let waited = 0; !follower.follow() && waited < 10_000; waited += 10) await Bun.sleep(10);
    see('follows');
    see('has come', follower.follow());
    fs.writeFileSync('/here/done', '');
  `;
  // PID 1 does what systemd does on its way out of an initrd: it takes another root directory for itself alone.
  const pid1 = `${NEW_ROOT} && mkdir -p /mnt/proc && mount -t proc proc /proc &&
    { "$0" -e "$1" & } && sleep 1 && mount --move /proc /mnt/proc && touch ${moved};
    exec chroot /mnt sh -c 'i=0; while [ $i -lt 200 ] && [ ! -e /here/done ]; do sleep 0.1; i=$((i + 1)); done; wait'`;
  expect(unshared(['--pid', '--fork'], pid1, code)).toEqual([
    'before false false',
    'left behind false',
    'follows true',
    'has come false true',
  ]);
});

test('whoever has another root than PID 1 from the beginning stays where he is', () => {
  const code = `const { RootFollower } = require(${JSON.stringify(MODULE)}); console.log(RootFollower.open() === undefined)`;
  const script = `${NEW_ROOT} && mkdir -p /mnt/proc && mount --bind /proc /mnt/proc && exec chroot /mnt "$0" -e "$1"`;
  expect(unshared([], script, code)).toEqual(['true']);
});
