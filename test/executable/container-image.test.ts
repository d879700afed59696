import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { CertificateAuthority } from '../fixtures/certificate-authority.ts';
import { type Finished, rdpull } from '../fixtures/executable.ts';
import { type Change, ImageRegistry } from '../fixtures/image-registry.ts';
import { run } from '../fixtures/run.ts';
import { listTree, makeTreeDirectory } from '../fixtures/tar.ts';

/** Debian's docker-registry, filled by umoci and skopeo, and the executable. */
let base: string;
let registry: ImageRegistry;
let layers: readonly Change[];
/** Of os/image:1 as it was pushed first, and as it is now. */
let pinned: string;
let moved: string;
let count = 0;

beforeAll(async () => {
  base = makeTreeDirectory();
  registry = await ImageRegistry.start(path.join(base, 'registry'));
  const tree = path.join(base, 'tree');
  run(['bash', '-euc', MAKE_TREE], { cwd: base });
  layers = [
    { kind: 'insert', from: tree, to: '/' },
    { kind: 'insert', from: path.join(base, 'later'), to: '/etc/greeting' },
    { kind: 'whiteout', what: '/usr/gone' },
  ];
  pinned = await registry.push('os/image:1', layers);
  moved = await registry.push('os/image:1', [{ kind: 'insert', from: path.join(base, 'later'), to: '/x' }]);
  await registry.push('os/image:kept', layers);
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  fs.rmSync(base, { recursive: true, force: true });
});

const MAKE_TREE = `
  mkdir -p tree/usr/bin tree/usr/gone/deep tree/etc
  head -c 3000000 /dev/urandom >tree/usr/bin/tool; chmod 4755 tree/usr/bin/tool; setcap cap_net_raw+ep tree/usr/bin/tool
  ln tree/usr/bin/tool tree/usr/bin/again; echo x >tree/usr/gone/deep/file; echo first >tree/etc/greeting
  echo second >later
`;

interface Pulled extends Finished {
  readonly directory: string;
}

async function pull(...args: string[]): Promise<Pulled> {
  const directory = path.join(base, `images-${count++}`);
  fs.mkdirSync(directory);
  const result = await rdpull(['pull', '--patience=5', `--image-root=${directory}`, ...args]);
  return { ...result, directory };
}

describe('a container image', () => {
  test('by its tag, when nothing has to vouch for it: the tree of its layers', async () => {
    const { directory, status, stderr, stdout } = await pull(
      '--type=oci',
      '--verify=no',
      registry.reference('os/image:kept'),
    );
    expect(stderr).toContain(' in 3 layers received, ');
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${directory}/image\n` });
    const expected = path.join(base, 'expected');
    run(['cp', '-a', path.join(base, 'tree'), expected]);
    fs.rmSync(path.join(expected, 'usr/gone'), { recursive: true });
    run(['cp', '--preserve=all', path.join(base, 'later'), path.join(expected, 'etc/greeting')]);
    // What umoci packs has seconds, and its own directories.
    const timeless = (tree: string) => listTree(tree).replaceAll(/ time=\d+/g, '');
    expect(timeless(`${directory}/image`)).toBe(timeless(expected));
    expect(fs.readdirSync(directory)).toEqual(['image']);
  });

  test('by its digest, whatever its tag stands for meanwhile', async () => {
    const { directory, status, stderr } = await pull(
      `oci,machine:root:${registry.reference(`os/image@${pinned}`)}`,
    );
    expect(status).toBe(0);
    expect(stderr).toContain('verified by the digest that was asked for');
    expect(fs.readFileSync(`${directory}/root/etc/greeting`, 'utf8')).toBe('second\n');
  });

  test('by a tag that was moved under a pinned digest: not at all', async () => {
    const { directory, status, stderr } = await pull(
      `oci,machine:root:${registry.reference(`os/image:1@${pinned}`)}`,
    );
    expect(status).toBe(13);
    expect(stderr).toContain(`the tag 1 stands for ${moved}, and ${pinned} was promised`);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test('by a tag alone: refused, with the command that prints the digest', async () => {
    const { status, stderr } = await pull('--type=oci', registry.reference('os/image:1'));
    expect(status).toBe(13);
    expect(stderr).toContain("skopeo inspect --format '{{.Name}}@{{.Digest}}' docker://127.0.0.1:");
  });

  test.each([
    ['os/image:2', 'MANIFEST_UNKNOWN', 'skopeo list-tags docker://'],
    ['os/missing:1', 'MANIFEST_UNKNOWN', 'skopeo list-tags docker://'],
  ])('that is not there: %s', async (name, said, remedy) => {
    const { status, stderr } = await pull('--type=oci', '--verify=no', registry.reference(name));
    expect(status).toBe(11);
    expect(stderr).toContain(said);
    expect(stderr).toContain(remedy);
  });

  test('goes on by range when the connection is lost', async () => {
    await using proxy = await cuttingProxy(registry.port, 1_000_000);
    const reference = `http://127.0.0.1:${proxy.port}/os/image@${pinned}`;
    const { directory, status, stderr } = await pull('--patience=20', `oci,machine:root:${reference}`);
    expect(stderr).toMatch(/resuming at byte \d+ of \d+/);
    expect(status).toBe(0);
    expect(proxy.ranges).toHaveLength(1);
    expect(fs.statSync(`${directory}/root/usr/bin/tool`).size).toBe(3_000_000);
  });

  test('is checked without fetching a layer', async () => {
    await using proxy = await cuttingProxy(registry.port, Number.POSITIVE_INFINITY);
    const reference = `http://127.0.0.1:${proxy.port}/os/image@${pinned}`;
    const { status, stdout } = await rdpull(['check', `oci,machine:root:${reference}`]);
    expect(stdout).toContain(
      `the registry has it, for linux/${process.arch === 'x64' ? 'amd64' : 'arm64'}: ${pinned}`,
    );
    expect(stdout).toMatch(/image +3 layers of 2\.\d+ MiB in all/);
    expect(status).toBe(0);
    expect(proxy.received).toBeLessThan(20_000);
  });
});

test('a registry with TLS and a login', async () => {
  using authority = CertificateAuthority.root();
  const certificate = authority.issue('server', { names: 'IP:127.0.0.1' });
  const login = 'somebody:secret';
  const directory = path.join(base, 'private');
  await using closed = await ImageRegistry.start(directory, { certificate, login });
  const digest = await closed.push('os/image:1', layers);
  const file = path.join(base, 'login');
  fs.writeFileSync(file, login);
  const expression = `oci,machine:root:https://${closed.reference(`os/image@${digest}`)}`;
  const ca = `--ca=${authority.cert}`;
  expect((await pull(ca, `--login=${file}`, expression)).status).toBe(0);
  const refused = await pull(ca, expression);
  expect(refused.status).toBe(11);
  expect(refused.stderr).toContain('--login=FILE');
  expect((await pull('--patience=0', `--login=${file}`, expression)).stderr).toContain('certificate');
});

interface CuttingProxy extends AsyncDisposable {
  readonly port: number;
  /** The ranges that were asked for. */
  readonly ranges: readonly string[];
  /** Bytes that came from the server. */
  readonly received: number;
}

/** Passes on what a server sends, but for the rest of one answer: the connection is lost after so many bytes of it, once. */
async function cuttingProxy(server: number, after: number): Promise<CuttingProxy> {
  const ranges: string[] = [];
  let received = 0;
  let isCut = false;
  const proxy = net.createServer((client) => {
    let passed = 0;
    const upstream = net.connect(server, '127.0.0.1');
    client.on('data', (chunk) => {
      ranges.push(...(chunk.toString('latin1').match(/^range: .*$/gim) ?? []));
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      received += chunk.length;
      passed += chunk.length;
      if (!isCut && passed > after) {
        isCut = true;
        client.destroy();
        upstream.destroy();
      } else client.write(chunk);
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen');
  return {
    port: address.port,
    ranges,
    get received() {
      return received;
    },
    async [Symbol.asyncDispose]() {
      proxy.close();
    },
  };
}
