import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { COMMON_OPTIONS, parseCommandLine } from '../../src/commands/command-line.ts';
import { pull } from '../../src/commands/pull.ts';
import { planPull } from '../../src/commands/pull-plan.ts';
import { withIdentity } from '../../src/commands/pull-url.ts';
import { serverAccess } from '../../src/commands/server-access.ts';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { rdpull } from '../fixtures/executable.ts';
import { ImageSigner } from '../fixtures/image-signer.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const work = new TemporaryDirectory();
const signer = new ImageSigner();
const server = startWebServer(work.path);
/** Every option of pull, with what it needs to mean something by itself. */
let samples: Readonly<Record<string, readonly string[]>>;

beforeAll(() => {
  const { certificate, key } = signer.identity();
  const token = work.write('token', 'token\n');
  const login = work.write('login', 'user:password\n');
  const keyring = work.write('keyring.pgp', '');
  work.write('image.raw', 'an image');
  samples = {
    type: [],
    class: ['--class=portable'],
    local: ['--local=name'],
    'image-root': [`--image-root=${work.file('images')}`],
    verify: ['--verify=checksum'],
    keyring: [`--keyring=${keyring}`],
    certificate: [`--certificate=${certificate}`],
    ca: [`--ca=${certificate}`],
    cert: [`--cert=${certificate}`, `--key=${key}`],
    key: [`--cert=${certificate}`, `--key=${key}`],
    bearer: [`--bearer=${token}`],
    login: [`--login=${login}`],
    proxy: ['--proxy=http://proxy:3128'],
    mirror: ['--mirror=https://mirror/image.raw'],
    store: ['--store=https://store/default.castr'],
    'read-only': ['--read-only'],
    blockdev: ['--blockdev'],
    bind: ['--type=tar', '--bind=/mnt'],
    'root-link': ['--blockdev', '--root-link=/run/root'],
    patience: ['--patience=5'],
    cache: [`--cache=${work.path}`],
    'cache-size': [`--cache=${work.path}`, '--cache-size=8G'],
    tries: [`--cache=${work.path}`, '--tries=5'],
    limit: ['--type=tar', '--limit=entries=5'],
    memory: ['--memory=256M'],
    'on-demand': ['--on-demand'],
    fill: ['--on-demand', '--fill=no'],
    ramdisk: ['--ramdisk'],
    'no-report': ['--no-report'],
    overcommit: ['--overcommit'],
    force: ['--force'],
    keep: ['--keep'],
    'boot-screen': ['--boot-screen'],
    json: ['--json'],
    quiet: ['--quiet'],
    verbose: ['--verbose'],
    help: [],
  };
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  signer[Symbol.dispose]();
  work[Symbol.dispose]();
});

/** Why a command line of pull is refused before anything is done; undefined when it is not. */
async function refusal(args: readonly string[]): Promise<RdpullError | undefined> {
  const isInChunks = args.some((each) => each.startsWith('--store='));
  const url = `https://host/image.${isInChunks ? 'caibx' : 'raw'}`;
  try {
    const line = parseCommandLine(pull, [...args, url]);
    planPull(line, () => undefined);
    const { identity } = await serverAccess(line);
    await withIdentity(url, identity, () => undefined);
    return undefined;
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
}

/** Every pair that cannot mean anything, with the words of the message that name both. */
const PAIRS: Readonly<Record<string, readonly string[]>> = {
  'verify keyring': ['--keyring=FILE', 'verify=checksum'],
  'verify certificate': ['--certificate=FILE', 'verify=checksum'],
  'bearer login': ['--bearer=FILE', '--login=FILE'],
  'blockdev bind': ['blockdev', '--bind=DIR'],
  'bind root-link': ['blockdev', '--bind=DIR'],
  'blockdev limit': ['tarball', 'block device'],
  'store bind': ['.caibx', 'tarball'],
  'store limit': ['.caibx', 'tarball'],
  'root-link limit': ['tarball', 'block device'],
  'force keep': ['--force', '--keep'],
  'quiet verbose': ['--quiet', '--verbose'],
};

test('of all pairs of options of pull, exactly those are refused that mean nothing together', async () => {
  const names = [...pull.options, ...COMMON_OPTIONS].map(({ name }) => name);
  expect(Object.keys(samples).sort()).toEqual(names.toSorted());
  for (const name of names) {
    expect([name, (await refusal(samples[name] ?? []))?.message]).toEqual([name, undefined]);
  }
  const refused: string[] = [];
  for (const [index, one] of names.entries()) {
    for (const other of names.slice(index + 1)) {
      const error = await refusal([...(samples[one] ?? []), ...(samples[other] ?? [])]);
      if (error === undefined) continue;
      refused.push(`${one} ${other}`);
      expect(error.exitStatus).toBe(2);
      for (const words of PAIRS[`${one} ${other}`] ?? []) expect(error.message).toContain(words);
    }
  }
  expect(refused.sort()).toEqual(Object.keys(PAIRS).sort());
});

interface Case {
  readonly args: () => readonly string[];
  readonly error: string;
  readonly hint: string;
  /** 2, unless something else is said. */
  readonly exitStatus?: number;
}

const local = () => `file://${work.file('image.raw')}`;
const HEX = 'a'.repeat(64);

const CASES: Record<string, Case> = {
  'a keyring, and verify=no': {
    args: () => ['pull', '--verify=no', '--keyring=/nonexistent', `${server.url}/image.raw`],
    error: '--keyring=FILE is for checking signatures, and verify=no asks for none',
    hint: 'leave it out, or ask for a signature with --verify=signature',
  },
  'a keyring, and an expression with a digest': {
    args: () => [
      'pull',
      '--keyring=/nonexistent',
      `raw,machine,verify=sha256:${HEX}:x:${server.url}/image.raw`,
    ],
    error: `--keyring=FILE is for checking signatures, and verify=sha256:${HEX} asks for none`,
    hint: 'leave it out, or ask for a signature with --verify=signature',
  },
  'a certificate, and a checksum': {
    args: () => ['verify', '--verify=checksum', '--certificate=/nonexistent', `${server.url}/image.raw`],
    error: '--certificate=FILE is for checking signatures, and verify=checksum asks for none',
    hint: 'leave it out, or ask for a signature with --verify=signature',
  },
  'a keyring that does not exist': {
    args: () => ['pull', '--keyring=/nonexistent', '--keep', `${server.url}/image.raw`],
    error: 'there is no keyring to check signatures with: the keyring /nonexistent does not exist',
    hint: "put the signer's public key into /etc/systemd/import-pubring.pgp of the initrd (gpg --export KEY), or name a file with --keyring=FILE",
    exitStatus: 13,
  },
  'a certificate that does not exist': {
    args: () => ['check', '--certificate=/nonexistent', `${server.url}/image.raw`],
    error: 'the certificate /nonexistent does not exist',
    hint: 'check the path given with --certificate=FILE',
    exitStatus: 13,
  },
  'certificates of servers, and a file': {
    args: () => ['pull', '--verify=no', '--ca=/nonexistent', local()],
    error: `--ca= is for servers, and none is asked: file://${work.path}/image.raw lies on this machine`,
    hint: 'leave it out',
  },
  'a proxy, and a file': {
    args: () => ['verify', '--verify=checksum', '--proxy=', work.file('image.raw')],
    error: `--proxy= is for servers, and none is asked: file://${work.path}/image.raw lies on this machine`,
    hint: 'leave it out',
  },
  'redirects, and a file': {
    args: () => ['pull', '--verify=no', '--limit=redirects=3', local()],
    error: `--limit=redirects= is for servers, and none is asked: file://${work.path}/image.raw lies on this machine`,
    hint: 'leave it out',
  },
  'limits of a tarball, and a disk image': {
    args: () => ['pull', '--verify=no', '--limit=depth=5', `${server.url}/image.raw`],
    error: '--limit=depth=VALUE is for tarballs, and a disk image was asked for',
    hint: 'leave it out, or add --type=tar if the file is a tarball',
  },
  'a placeholder, and a URL without it': {
    args: () => ['check', '--placeholder=serial=1', `${server.url}/{hostname}.raw`],
    error: `--placeholder=serial=VALUE is for a URL with {serial} in it, and "${server.url}/{hostname}.raw" has none`,
    hint: 'leave it out',
  },
  'a boot URL, and an expression without bootorigin': {
    args: () => ['check', '--boot-url=http://host/image.efi', `raw,machine:x:${server.url}/image.raw`],
    error: `--boot-url=URL is for bootorigin and dhcporigin, and "raw,machine:x:${server.url}/image.raw" does not ask for that`,
    hint: 'leave it out',
  },
  'nothing to be said, and more of it': {
    args: () => ['status', '--quiet', '--verbose'],
    error: '--quiet and --verbose are opposites: how much is said',
    hint: 'leave out one of them',
  },
  'a passphrase, and no key': {
    args: () => ['serve', '--passphrase=/nonexistent', work.path],
    error: '--passphrase=FILE is for a secret key, and none was given',
    hint: 'add --sign=FILE',
  },
  'a private key, and no certificate': {
    args: () => ['verify', '--key=/nonexistent', `${server.url}/image.raw`],
    error: '--key=FILE is for a certificate, and none was given',
    hint: 'add --cert=FILE',
  },
};

describe('is refused before anything is asked or read:', () => {
  test.each(Object.entries(CASES))('%s', async (_, { args, error, hint, exitStatus = 2 }) => {
    server.requests.length = 0;
    const { status, stdout, stderr } = await rdpull([...args()]);
    // With --verbose, more follows.
    expect(stderr).toStartWith(`rdpull: error: ${error}\nrdpull: try: ${hint}\n`);
    expect(stdout).toBe('');
    expect(status).toBe(exitStatus);
    expect(server.requests).toEqual([]);
  });
});
