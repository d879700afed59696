import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { buildFor, NATIVE } from '../../scripts/architecture.ts';
import { inHeaders } from '../fixtures/c-headers.ts';
import {
  ARM64_EMULATOR,
  executableOf,
  type Finished,
  type RunOptions,
  rdpull,
} from '../fixtures/executable.ts';
import { GpgHome } from '../fixtures/gpg.ts';
import { noiseOf } from '../fixtures/noise.ts';
import { run } from '../fixtures/run.ts';
import { writeChecksums } from '../fixtures/served-image.ts';
import { listTree } from '../fixtures/tar.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer, type WebServer } from '../fixtures/web-server.ts';

const CHECKOUT = path.resolve(import.meta.dir, '../..');
const BUILD = buildFor('arm64');

const onArm64 = (args: readonly string[], options: RunOptions = {}): Promise<Finished> =>
  rdpull(args, { ...options, wrapper: ARM64_EMULATOR, executable: executableOf(BUILD) });

const work = new TemporaryDirectory();
const gpg = new GpgHome();
let server: WebServer;

beforeAll(() => {
  const content = Buffer.alloc(3 * 1024 * 1024);
  content.set(noiseOf(65536));
  content.copyWithin(2 * 1024 * 1024, 0, 65536);
  work.write('image.raw', content);
  for (const packer of ['xz', 'zstd', 'gzip', 'bzip2'])
    run([packer, '--quiet', '--keep', 'image.raw'], { cwd: work.path });
  server = startWebServer(work.path);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  gpg[Symbol.dispose]();
  work[Symbol.dispose]();
});

/** On an arm64 machine all other tests run what is built for it. */
describe.skipIf(NATIVE === 'arm64')('the executable for arm64', () => {
  test('says the same of itself', async () => {
    const [there, here] = await Promise.all([onArm64(['--version']), rdpull(['--version'])]);
    expect(there).toEqual(here);
  });

  test('is as small as the other: at most 106 MiB', () => {
    expect(fs.statSync(executableOf(BUILD)).size).toBeLessThanOrEqual(106 * 1024 * 1024);
  });

  test('decodes every compression, checks the digest, and writes the image', async () => {
    writeChecksums(work);
    const pulled = await Promise.all(
      ['', '.xz', '.zst', '.gz', '.bz2'].map(async (suffix) => {
        const target = work.file(`target${suffix}`);
        const source = `file://${work.file(`image.raw${suffix}`)}`;
        const { status, stderr } = await onArm64([
          ...['pull', '--verify=checksum', '--quiet', `--image-root=${target}`, source],
        ]);
        return { status, stderr, isSame: sameFile(path.join(target, 'image.raw')) };
      }),
    );
    expect(pulled).toEqual(Array(5).fill({ status: 0, stderr: '', isSame: true }));
  });

  test('pulls by HTTP, and {arch} is arm64', async () => {
    fs.copyFileSync(work.file('image.raw.xz'), work.file('arm64.raw.xz'));
    const target = work.file('by-http');
    const { status, stderr } = await onArm64([
      ...['pull', '--verify=no', '--quiet', '--local=root', `--image-root=${target}`],
      `${server.url}/{arch}.raw.xz`,
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(server.requests).toContain('GET /arm64.raw.xz');
    expect(sameFile(path.join(target, 'root.raw'))).toBe(true);
  });

  test('unpacks a tree as GNU tar does', async () => {
    const tree = work.file('tree');
    fs.mkdirSync(path.join(tree, 'directory'), { recursive: true, mode: 0o1777 });
    const file = path.join(tree, 'directory/file');
    fs.writeFileSync(file, 'a file', { mode: 0o755 });
    run(['chmod', '4755', file]);
    run(['chown', '12:34', path.join(tree, 'directory')]);
    run(['setfattr', '--name=user.colour', '--value=blue', file]);
    run(['touch', '--no-dereference', '--date=2001-02-03 04:05:06.789', file]);
    run(['ln', file, path.join(tree, 'hard')]);
    run(['ln', '--symbolic', '/nowhere', path.join(tree, 'symbolic')]);
    run(['mknod', path.join(tree, 'null'), 'c', '1', '3']);
    run(['mkfifo', path.join(tree, 'fifo')]);
    run(['tar', '--create', '--xattrs', '--format=pax', '--file', work.file('tree.tar'), '-C', tree, '.']);
    const result = await onArm64([
      ...[
        'pull',
        '--verify=no',
        '--quiet',
        `--image-root=${work.file('trees')}`,
        `file://${work.file('tree.tar')}`,
      ],
    ]);
    expect({ ...result, stdout: '' }).toEqual({ status: 0, signal: undefined, stdout: '', stderr: '' });
    const unpacked = work.file('unpacked');
    fs.mkdirSync(unpacked);
    run(['tar', '--extract', '--xattrs', '--file', work.file('tree.tar'), '-C', unpacked]);
    expect(listTree(work.file('trees/tree'))).toBe(listTree(unpacked));
  });

  test('checks a signature', async () => {
    using signed = new TemporaryDirectory();
    signed.write('image.raw', 'an image');
    const key = gpg.generateKey('Image Builder <builder@example.com>');
    signed.write('SHA256SUMS.asc', gpg.sign(fs.readFileSync(writeChecksums(signed)), { by: key }));
    const keyring = `--keyring=${work.write('keys.pgp', gpg.exportKeys([key]))}`;
    const verify = ['verify', '--quiet', keyring, signed.file('image.raw')];
    const [there, here] = await Promise.all([onArm64(verify), rdpull(verify)]);
    expect(there).toEqual(here);
    expect(there.status).toBe(0);
  });

  test('writes the same units', async () => {
    const env = {
      SYSTEMD_PROC_CMDLINE:
        'rd.systemd.pull=raw,machine,verify=no:root:http://h/{arch}.raw rd.systemd.pull=tar,sysext:more:http://h/more.tar',
      SYSTEMD_IN_INITRD: '1',
    };
    const written = async (name: string, generate: typeof rdpull) => {
      const directory = work.file(name);
      fs.mkdirSync(directory);
      expect(await generate(['generate', directory], { env })).toMatchObject({ status: 0, stderr: '' });
      // What differs is only which executable a unit starts, and that is where it lies.
      return run(['sh', '-c', 'grep -r . . | sort'], { cwd: directory }).toString();
    };
    const [there, here] = await Promise.all([written('arm64-units', onArm64), written('units', rdpull)]);
    expect(there.replaceAll(BUILD.executable, 'dist/rdpull')).toBe(here);
  });

  test('has the flags of open(2), which differ, from a runtime that knows them', () => {
    const names = ['O_DIRECTORY', 'O_NOFOLLOW', 'O_DIRECT', 'O_NOCTTY', 'O_NONBLOCK', 'O_EXCL', 'O_NOATIME'];
    const script = `console.log(JSON.stringify(${JSON.stringify(names)}.map((name) => fs.constants[name])))`;
    const said = run([...ARM64_EMULATOR, path.join(CHECKOUT, BUILD.runtime), '--eval', script]).toString();
    expect(JSON.parse(said)).toEqual(inHeaders(names, 'arm64').map(Number));
  });
});

/** Whether a file holds the image that everything here is made of. */
function sameFile(file: string): boolean {
  return fs.readFileSync(file).equals(fs.readFileSync(work.file('image.raw')));
}
