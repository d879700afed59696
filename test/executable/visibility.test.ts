import { afterAll, beforeAll, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { rdpull } from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

/** Nothing that is not verified is ever visible: seen from outside, throughout a pull whose last byte is wrong. */
const gpg = new GpgHome();
const served = new TemporaryDirectory();
const key = gpg.generateKey('Builder <builder@example.org>');
let keyring: string;

beforeAll(() => {
  keyring = served.write('keys.pgp', gpg.exportKeys([key]));
  run(['truncate', '--size=8M', served.file('image.raw')]);
  run(['mkfs.ext4', '-q', '-L', 'unseen', served.file('image.raw')]);
  const tree = served.file('tree');
  fs.mkdirSync(path.join(tree, 'etc'), { recursive: true });
  fs.writeFileSync(path.join(tree, 'etc/os-release'), 'ID=test\n');
  fs.copyFileSync('/bin/true', path.join(tree, 'setuid'));
  fs.chmodSync(path.join(tree, 'setuid'), 0o4755);
  fs.writeFileSync(path.join(tree, 'data'), Buffer.alloc(4 << 20, 1));
  run(['tar', '--create', `--file=${served.file('image.tar')}`, `--directory=${tree}`, '.']);
  const sums = run(['sha256sum', 'image.raw', 'image.tar'], { cwd: served.path });
  served.write('SHA256SUMS', sums);
  served.write('SHA256SUMS.asc', gpg.sign(sums, { by: key }));
});
afterAll(() => {
  for (const each of [gpg, served]) each[Symbol.dispose]();
});

/** Serves the file in 40 pieces with a pause before each, and the last byte changed when `tampered`. */
function slowly(file: string, tampered: boolean): Response {
  const content = fs.readFileSync(file);
  // Of a tarball, the last byte is padding: its format would give the change away.
  const position = file.endsWith('.tar') ? content.length >> 1 : content.length - 1;
  if (tampered) content[position] = (content[position] ?? 0) ^ 1;
  const piece = Math.ceil(content.length / 40);
  let sent = 0;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        await setTimeout(10);
        controller.enqueue(content.subarray(sent, sent + piece));
        sent += piece;
        if (sent >= content.length) controller.close();
      },
    }),
    { headers: { 'content-length': String(content.length) } },
  );
}

const listed = (directory: string) => (fs.existsSync(directory) ? fs.readdirSync(directory).sort() : []);

/** What anybody could see or mount: mounts, attached files, links to disks. */
function visible(): string[] {
  const mounts = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const attached = listed('/sys/block').map((device) => {
    const backing = `/sys/block/${device}/loop/backing_file`;
    return fs.existsSync(backing) ? `${device} ${fs.readFileSync(backing, 'utf8').trim()}` : device;
  });
  const disks = listed('/dev/disk').flatMap((by) => listed(`/dev/disk/${by}`));
  return [...mounts, ...attached, ...disks];
}

test.each([
  ['image.raw', ['--blockdev', '--root-link=LINK']],
  ['image.tar', ['--bind=BIND']],
])('of %s', async (name, exposure) => {
  for (const tampered of [true, false]) {
    using directory = new TemporaryDirectory();
    const target = directory.file('images');
    const link = directory.file('root');
    const bind = directory.file('sysroot');
    fs.mkdirSync(bind);
    await using server = startWebServer(served.path, (request) =>
      request.url.endsWith(`/${name}`) ? slowly(served.file(name), tampered) : undefined,
    );
    const how = exposure.map((option) => option.replace('LINK', link).replace('BIND', bind));
    const pull = rdpull([
      ...['pull', `--keyring=${keyring}`, `--image-root=${target}`, '--local=image', ...how],
      `${server.url}/${name}`,
    ]);
    let ended = false;
    const outcome = pull.finally(() => {
      ended = true;
    });
    const names = new Set<string>();
    const seen = new Set<string>();
    while (!ended) {
      for (const each of listed(target)) {
        names.add(each.startsWith('.#rdpull-') ? '.#rdpull-' : each);
        const { mode } = fs.lstatSync(path.join(target, each), { throwIfNoEntry: false }) ?? {};
        // Others than root can neither read nor enter what is on its way.
        if (tampered && each.startsWith('.#rdpull-') && mode !== undefined) expect(mode & 0o077).toBe(0);
      }
      for (const line of visible()) if (line.includes(directory.path)) seen.add(line);
      if (fs.existsSync(link)) seen.add(link);
      await setTimeout(1);
    }
    const { status, stderr } = await outcome;
    try {
      if (tampered) {
        expect(stderr).toContain('is not what was promised');
        expect(status).toBe(13);
        expect([...names]).toEqual(['.#rdpull-']);
        expect([...seen]).toEqual([]);
        expect(listed(target)).toEqual([]);
      } else {
        // The same watch sees what is good: otherwise it would prove nothing.
        expect(status === 0 ? '' : stderr).toBe('');
        expect(listed(target)).toEqual([name === 'image.raw' ? 'image.raw' : 'image']);
        expect(visible().some((line) => line.includes(directory.path))).toBe(true);
      }
    } finally {
      if (!tampered) {
        if (name === 'image.raw') await rdpull(['detach', path.join(target, 'image.raw')]);
        else run(['umount', bind]);
      }
    }
  }
});
