import { afterAll, describe, expect, test } from 'bun:test';
import { rdpull } from '../fixtures/executable.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';
import { startWebServer } from '../fixtures/web-server.ts';

const work = new TemporaryDirectory();
const server = startWebServer(work.path);
const url = `${server.url}/image.raw`;
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  work[Symbol.dispose]();
});

interface Case {
  readonly args: readonly string[];
  readonly error: string;
  readonly hint: string;
}

const pull = (...args: string[]) => ['pull', `--image-root=${work.file('images')}`, ...args];

const COMMANDS: readonly Case[] = [
  { args: ['pul', url], error: 'there is no command "pul"', hint: 'did you mean rdpull pull?' },
  { args: ['Pull', url], error: 'there is no command "Pull"', hint: 'did you mean rdpull pull?' },
  { args: ['atach', 'x'], error: 'there is no command "atach"', hint: 'did you mean rdpull attach?' },
  { args: ['dettach', 'x'], error: 'there is no command "dettach"', hint: 'did you mean rdpull detach?' },
  { args: ['verfiy', 'x'], error: 'there is no command "verfiy"', hint: 'did you mean rdpull verify?' },
  { args: ['orgin'], error: 'there is no command "orgin"', hint: 'did you mean rdpull origin?' },
  { args: ['generator'], error: 'there is no command "generator"', hint: 'did you mean rdpull generate?' },
  { args: ['--verison'], error: 'there is no command "--verison"', hint: 'did you mean --version?' },
  { args: ['-h'], error: 'there is no command "-h"', hint: 'did you mean --help?' },
  { args: ['frobnicate'], error: 'there is no command "frobnicate"', hint: 'see rdpull --help' },
  {
    args: ['\x1b[31mpull', url],
    error: 'there is no command "\\x1b[31mpull"',
    hint: 'see rdpull --help',
  },
  {
    args: [],
    error: 'no command was given',
    hint: 'choose one of pull, attach, detach, overlay, verify, check, status, cache, origin, serve, boot-entry, free-initramfs, report-root, generate; see rdpull --help',
  },
];

const OPTIONS: readonly Case[] = [
  {
    args: pull('--verfy=no', url),
    error: 'rdpull pull has no option --verfy',
    hint: 'did you mean --verify?',
  },
  {
    args: pull(url, '--blockdevice'),
    error: 'rdpull pull has no option --blockdevice',
    hint: 'rdpull pull --help lists its options',
  },
  {
    args: pull(url, '--keyrings=x'),
    error: 'rdpull pull has no option --keyrings',
    hint: 'did you mean --keyring?',
  },
  { args: pull(url, '--forec'), error: 'rdpull pull has no option --forec', hint: 'did you mean --force?' },
  {
    args: pull(url, '--no-json'),
    error: 'rdpull pull has no option --no-json',
    hint: 'rdpull pull --help lists its options',
  },
  {
    args: ['attach', '--readonly', 'x'],
    error: 'rdpull attach has no option --readonly',
    hint: 'did you mean --read-only?',
  },
  {
    args: ['detach', '--force', 'x'],
    error: 'rdpull detach has no option --force',
    hint: 'rdpull detach --help lists its options',
  },
  {
    args: ['origin', '--name=x'],
    error: 'rdpull origin has no option --name',
    hint: 'rdpull origin --help lists its options',
  },
  {
    args: ['verify', '--verify', '--keyring=x'],
    error: 'rdpull verify needs FILE|URL',
    hint: 'rdpull verify --help lists what it takes',
  },
  {
    args: pull('--read-only=yes', url),
    error: '--read-only takes no value',
    hint: 'write --read-only alone',
  },
  {
    args: pull(url, '--type'),
    error: '--type needs a value: --type=raw|tar|oci',
    hint: 'rdpull pull --help lists what it takes',
  },
  { args: pull(), error: 'rdpull pull needs URL|EXPRESSION', hint: 'rdpull pull --help lists what it takes' },
  {
    args: pull(url, 'b'),
    error: 'rdpull pull takes one URL|EXPRESSION, and "b" is one too many',
    hint: 'put what contains spaces into quotes',
  },
];

const VALUES: readonly Case[] = [
  {
    args: ['attach', 'http://user:pass@10.0.0.1/image.raw'],
    error: 'rdpull attach takes a file of this machine, and "http://10.0.0.1/image.raw" is a URL',
    hint: 'rdpull pull --blockdev URL downloads an image and attaches it',
  },
  {
    args: ['attach', '--read-only', 'file:///srv/image.raw'],
    error: 'rdpull attach takes a file of this machine, and "file:///srv/image.raw" is a URL',
    hint: 'write the path alone',
  },
  {
    args: ['detach', 'https://10.0.0.1/image.raw'],
    error: 'rdpull detach takes a file of this machine, and "https://10.0.0.1/image.raw" is a URL',
    hint: 'name the image or its device: rdpull status shows both',
  },
  {
    args: ['attach', '--dhcporigin=onyl', 'nvme+tcp:'],
    error: '--dhcporigin=onyl is not valid',
    hint: 'did you mean --dhcporigin=only?',
  },
  {
    args: ['attach', '--dhcporigin', 'http://user:pass@10.0.0.1/', 'nvme+tcp:'],
    error: '--dhcporigin=http://10.0.0.1/ is not valid',
    hint: 'valid are fallback, only',
  },
  {
    args: ['attach', '--dhcporigin=always', 'nvme+tcp:'],
    error: '--dhcporigin=always is not valid',
    hint: 'valid are fallback, only',
  },
  {
    args: ['cache', 'prune', '--cache-size=abc', '--cache=/nowhere'],
    error: '--cache-size=abc is not valid',
    hint: 'give a number of bytes from 1M up, with or without a suffix (K, M, G, T)',
  },
  {
    args: pull('--type=rwa', url),
    error: '--type=rwa is not valid',
    hint: 'did you mean --type=raw?',
  },
  { args: pull('--type=zip', url), error: '--type=zip is not valid', hint: 'valid are raw, tar, oci' },
  {
    args: pull('--class=machin', url),
    error: '--class=machin is not valid',
    hint: 'did you mean --class=machine?',
  },
  {
    args: pull('--verify=checksums', url),
    error: '--verify=checksums is not valid',
    hint: 'did you mean --verify=checksum?',
  },
  {
    args: pull('--verify=sha256:1234', url),
    error: '--verify=sha256:1234 is not valid',
    hint: 'valid are no, checksum, signature, yes, sha256:HEX',
  },
  {
    args: pull('--local=../root', url),
    error: '--local=../root contains a slash',
    hint: 'choose a plain file name',
  },
  {
    args: pull('--blockdev', '--type=tar', url),
    error: 'a tarball cannot become a block device',
    hint: 'use --bind=DIR instead of --blockdev, or --type=raw if the file is a disk image',
  },
  {
    args: pull('--bind=/mnt', '--type=raw', url),
    error: 'only an unpacked tarball can be bind-mounted, not a disk image',
    hint: 'use --blockdev instead of --bind=DIR, or --type=tar if the file is a tarball',
  },
  {
    args: pull('ftp://127.0.0.1/image.raw'),
    error: '"ftp://127.0.0.1/image.raw" does not start with http://, https:// or file:/',
    hint: 'write http://HOST/FILE, https://HOST/FILE or file:///FILE',
  },
  {
    args: pull('raw,machine:root'),
    error: 'pull expression "raw,machine:root" names no remote image',
    hint: 'write OPTIONS:LOCAL:REMOTE, for example raw,machine:root:https://example.com/root.raw.xz',
  },
  {
    args: pull('raw,machine:http://127.0.0.1/x'),
    error:
      'pull expression "raw,machine:http://127.0.0.1/x" has an unusable URL: "//127.0.0.1/x" does not start with http://, https:// or file:/',
    hint: 'a colon is missing: write OPTIONS:LOCAL:URL, in which LOCAL may be empty',
  },
];

describe.each([
  { what: 'a misspelt command', cases: COMMANDS },
  { what: 'a misspelt option', cases: OPTIONS },
  { what: 'a misspelt value', cases: VALUES },
])('$what is refused before anything is started, and the nearest one is named', ({ cases }) => {
  test.each([...cases])('$error', async ({ args, error, hint }) => {
    const finished = await rdpull(args);
    expect(finished).toEqual({
      status: 2,
      signal: undefined,
      stdout: '',
      stderr: `rdpull: error: ${error}\nrdpull: try: ${hint}\n`,
    });
    expect(server.requests).toEqual([]);
    expect(work.names()).toEqual([]);
  });
});

test('a misspelt word of an expression is named twice: it is ignored, and then it is missed', async () => {
  const expression = `raw,machin,verify=no:root:${url}`;
  const { status, stderr } = await rdpull(pull(expression));
  expect(stderr.split('\n')).toEqual([
    `rdpull: warning: pull expression "${expression}": unknown option "machin" is ignored: did you mean "machine"?`,
    `rdpull: error: pull expression "${expression}" does not say what the image is for`,
    'rdpull: try: add machine, portable, sysext or confext to the options (is "machin" meant to be "machine"?)',
    '',
  ]);
  expect(status).toBe(2);
  expect(server.requests).toEqual([]);
});
