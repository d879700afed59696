import { describe, expect, test } from 'bun:test';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { imageNameDefect } from '../../src/request/image-name.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import type { PullRequest } from '../../src/request/pull-request.ts';
import { refusal, survives } from './refusal.ts';
import { SeededRandom } from './seeded-random.ts';

const DIGEST = '0123456789abcdef'.repeat(4);

const OPTIONS =
  'raw, tar, oci, machine, portable, sysext, confext, ro, rw, verify=, mirror=, store=, blockdev, on-demand, on-demand=require, fill=, overlay=, overcommit, no-report, bootorigin, dhcporigin, ramdisk, runtime=';
const GRAMMAR = 'write OPTIONS:LOCAL:REMOTE, for example raw,machine:root:https://example.com/root.raw.xz';

/** What `raw,machine:f:http://h/x` asks for. */
const PLAIN: PullRequest = {
  remote: { kind: 'url', url: 'http://h/x' },
  type: 'raw',
  imageClass: 'machine',
  local: 'f',
  verify: { kind: 'signature' },
  mirrors: [],
  stores: [],
  readOnly: false,
  blockdev: false,
  overcommit: false,
  report: true,
  onDemand: undefined,
  overlay: undefined,
  ramDisk: false,
  runtime: undefined,
};

describe('a valid expression', () => {
  test.each<[string, Partial<PullRequest>]>([
    ['raw,machine:f:http://h/x', {}],
    [
      'raw,machine,verify=no:root:http://h:8081/a.raw',
      {
        verify: { kind: 'no' },
        local: 'root',
        remote: { kind: 'url', url: 'http://h:8081/a.raw' },
      },
    ],
    ['raw,machine:f:http://h/{serial}.raw', { remote: { kind: 'url', url: 'http://h/{serial}.raw' } }],
    [
      'raw,machine::http://h/{arch}/a.raw',
      { local: 'a', remote: { kind: 'url', url: 'http://h/{arch}/a.raw' } },
    ],
    ['raw,machine,bootorigin:f:{mac}.raw', { remote: { kind: 'bootorigin', name: '{mac}.raw' } }],
    ['raw,machine::http://h/a.raw', { local: 'a', remote: { kind: 'url', url: 'http://h/a.raw' } }],
    ['raw,mach\\ine:a\\:b:http://h/x', { local: 'a:b' }],
    ['raw,machine:f:http://h/a:b\\c', { remote: { kind: 'url', url: 'http://h/a:b\\c' } }],
    ['raw,machine:f:file:/x', { remote: { kind: 'url', url: 'file:/x' } }],
    ['raw,machine:"f\':http://h/x', { local: '"f\'' }],
    ['tar,machine:f:http://h/x', { type: 'tar' }],
    ['raw,portable:f:http://h/x', { imageClass: 'portable' }],
    ['raw,sysext:f:http://h/x', { imageClass: 'sysext' }],
    ['raw,confext:f:http://h/x', { imageClass: 'confext' }],
    ['raw,machine,ro:f:http://h/x', { readOnly: true }],
    ['raw,machine,ro,rw:f:http://h/x', { readOnly: false }],
    ['raw,machine,overcommit:f:http://h/x', { overcommit: true }],
    ['raw,machine,no-report:f:http://h/x', { report: false }],
    ['raw,machine,blockdev:f:http://h/x', { blockdev: true }],
    ['raw,machine,runtime=ON:f:http://h/x', { runtime: true }],
    ['raw,machine,runtime=no:f:http://h/x', { runtime: false }],
    ['tar,sysext,machine,oci,raw:f:http://h/x', {}],
    ['raw,machine,verify=checksum:f:http://h/x', { verify: { kind: 'checksum' } }],
    ['raw,machine,verify=no,verify=yes:f:http://h/x', { verify: { kind: 'signature' } }],
    ['raw,machine,bootorigin:f:b/a.raw', { remote: { kind: 'bootorigin', name: 'b/a.raw' } }],
    ['raw,machine,bootorigin::a.raw', { local: undefined, remote: { kind: 'bootorigin', name: 'a.raw' } }],
    ['raw,machine,bootorigin:f:', { remote: { kind: 'bootorigin', name: undefined } }],
    ['raw,machine,bootorigin:f', { remote: { kind: 'bootorigin', name: undefined } }],
    ['raw,machine,dhcporigin:f:a.raw', { remote: { kind: 'bootorigin', name: 'a.raw', dhcp: 'only' } }],
    ['raw,machine,dhcporigin:f', { remote: { kind: 'bootorigin', name: undefined, dhcp: 'only' } }],
    [
      'raw,machine,dhcporigin,bootorigin::',
      { local: undefined, remote: { kind: 'bootorigin', name: undefined, dhcp: 'fallback' } },
    ],
    ['raw,machine,bootorigin::', { local: undefined, remote: { kind: 'bootorigin', name: undefined } }],
  ])('%s', (expression, expected) => {
    expect(parse(expression)).toEqual({ request: { ...PLAIN, ...expected }, warnings: [] });
  });
});

describe('on-demand', () => {
  const asSoonAsPossible = { isRequired: false, fillRate: Number.POSITIVE_INFINITY };
  /** What is read on demand is a device, and cannot be written to. */
  const onDemand = (how: object) => ({
    ...PLAIN,
    blockdev: true,
    readOnly: true,
    onDemand: { ...asSoonAsPossible, ...how },
  });

  test.each<[string, object]>([
    ['on-demand', {}],
    ['on-demand=yes', {}],
    ['on-demand=require', { isRequired: true }],
    ['on-demand=no,on-demand=require', { isRequired: true }],
    ['on-demand,ro,blockdev', {}],
    ['on-demand,fill=no', { fillRate: 0 }],
    ['fill=512K,on-demand', { fillRate: 524_288 }],
    ['on-demand,fill=no,fill=3m', { fillRate: 3 * 1024 * 1024 }],
    ['on-demand,fill=1025', { fillRate: 1025 }],
    ['on-demand,fill=no,fill=yes', {}],
  ])('%s', (options, how) => {
    expect(parse(`raw,machine,${options}:f:http://h/x`)).toEqual({ request: onDemand(how), warnings: [] });
  });

  test('on-demand=no leaves everything as it is', () => {
    expect(parse('raw,machine,on-demand,on-demand=no:f:http://h/x')).toEqual({
      request: PLAIN,
      warnings: [],
    });
  });

  test.each<[string, string, object]>([
    [
      'raw,machine,on-demand=requre:f:http://h/x',
      '"on-demand=requre" is ignored: write on-demand or on-demand=require',
      PLAIN,
    ],
    [
      'raw,machine,ondemand:f:http://h/x',
      'unknown option "ondemand" is ignored: did you mean "on-demand"?',
      PLAIN,
    ],
    ['raw,machine,fill=no:f:http://h/x', '"fill=" is ignored: it says something only with on-demand', PLAIN],
    [
      'raw,machine,on-demand,fill=5:f:http://h/x',
      '"fill=5" is ignored: write fill=no, fill=yes, or bytes a second from 1K on, with or without a suffix (K, M, G)',
      onDemand({}),
    ],
    [
      'raw,machine,on-demand,rw:f:http://h/x',
      '"rw" is ignored: what is read on demand cannot be written to',
      onDemand({}),
    ],
    [
      'tar,machine,on-demand:f:http://h/x',
      '"on-demand" is ignored: a tarball is unpacked as a whole',
      { ...PLAIN, type: 'tar' },
    ],
    [
      'raw,sysext,on-demand:f:http://h/x',
      '"on-demand" is ignored: it is for images of the class machine, and not sysext',
      { ...PLAIN, imageClass: 'sysext' },
    ],
  ])('%s: a warning, and the image is pulled', (expression, warning, request) => {
    expect(parse(expression)).toEqual({
      request: request as PullRequest,
      warnings: [`pull expression "${expression}": ${warning}`],
    });
  });

  test.each([
    ['tar,machine,on-demand=require:f:http://h/x', 'a tarball is unpacked as a whole'],
    ['raw,confext,on-demand=require:f:http://h/x', 'it is for images of the class machine, and not confext'],
  ])('%s: what is required and cannot be is refused', (expression, why) => {
    expect(refusal(() => parse(expression)).message).toBe(
      `pull expression "${expression}" asks for on-demand=require, but ${why}`,
    );
  });
});

describe('mirror= and store=', () => {
  test.each<[string, string[]]>([
    ['mirror=http://m/x', ['http://m/x']],
    ['mirror=https://m:8443/x,mirror=http://n:80/d/x?q=1', ['https://m:8443/x', 'http://n:80/d/x?q=1']],
    ['mirror=http\\://m/x', ['http://m/x']],
    ['mirror=http://[2001:db8::1]:8081/x', ['http://[2001:db8::1]:8081/x']],
    ['mirror=http://user\\:secret@m/x', ['http://user:secret@m/x']],
    // A token may be long.
    [`mirror=https://user:${'a'.repeat(2000)}@m:8443/x`, [`https://user:${'a'.repeat(2000)}@m:8443/x`]],
    ['mirror=file:///srv/x', ['file:///srv/x']],
    ['mirror=http://m/{serial}/x%2Cy', ['http://m/{serial}/x%2Cy']],
  ])('%s', (option, mirrors) => {
    for (const expression of [`raw,machine,${option}:f:http://h/x`, `${option},raw,machine:f:http://h/x`]) {
      expect(parse(expression)).toEqual({ request: { ...PLAIN, mirrors }, warnings: [] });
    }
  });

  test.each<[string, string]>([
    ['mirror=', '"mirror=" is ignored: the URL does not start with http://, https:// or file:/'],
    ['mirror=m', '"mirror=m" is ignored: the URL does not start with'],
    ['mirror=http://m/{name}', 'is ignored: the URL holds an unknown placeholder, {name}'],
  ])('%s is left out with a warning, and the others stay', (option, warning) => {
    const { request, warnings } = parse(`raw,machine,${option},mirror=http://n/x:f:http://h/x`);
    expect(request).toEqual({ ...PLAIN, mirrors: ['http://n/x'] });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(warning);
  });

  test('of the chunks of an image, as mirrors are; for any other they are left out with a warning', () => {
    const stores = ['http://m:80/default.castr', 'file:///srv/castr'];
    const options = `raw,machine,${stores.map((url) => `store=${url}`).join(',')}`;
    const remote = { kind: 'url' as const, url: 'http://h/x.caibx' };
    expect(parse(`${options}:f:${remote.url}`)).toEqual({
      request: { ...PLAIN, remote, stores },
      warnings: [],
    });
    expect(parse(`${options},bootorigin:f:`).request).toMatchObject({ stores });
    for (const end of [':f:http://h/x', ',bootorigin:f:x.raw']) {
      const { request, warnings } = parse(options + end);
      expect(request).toMatchObject({ stores: [] });
      expect(warnings).toEqual([expect.stringContaining('only a file that ends in .caibx has them')]);
    }
    expect(parse(`raw,machine,store=castr:f:${remote.url}`).warnings).toEqual([
      expect.stringContaining('"store=castr" is ignored: the URL does not start with'),
    ]);
  });

  test('a colon that no URL has there ends the options', () => {
    expect(parse('raw,machine,mirror=http://m:8081:http://h/x').request).toEqual({
      ...PLAIN,
      mirrors: ['http://m'],
      local: '8081',
    });
  });
});

describe('verify=sha256', () => {
  const verify = { kind: 'sha256', digest: DIGEST } as const;

  test.each([
    `raw,machine,verify=sha256\\:${DIGEST}:f:http://h/x`,
    `raw,machine,verify=sha256:${DIGEST}:f:http://h/x`,
    `verify=sha256:${DIGEST},raw,machine:f:http://h/x`,
    `verify=sha256\\:${DIGEST.toUpperCase()},raw,machine:f:http://h/x`,
    `raw,machine,verify=${DIGEST}:f:http://h/x`,
    `verify=sha256:${'0'.repeat(64)},raw,machine,verify=sha256:${DIGEST}:f:http://h/x`,
  ])('%s', (expression) => {
    expect(parse(expression)).toEqual({ request: { ...PLAIN, verify }, warnings: [] });
  });

  test('ends the options where there is no digest behind it', () => {
    const error = refusal(() => parse('raw,machine,verify=sha256:f:http://h/x'));
    expect(error.code).toBe('bad-expression');
    expect(error.message).toBe(
      'pull expression "raw,machine,verify=sha256:f:http://h/x" has an unusable digest: "verify=sha256" is not verify=sha256: and 64 hexadecimal digits',
    );
    expect(error.hint).toBe(
      'paste the whole SHA-256 of the file as the server sends it (sha256sum prints it)',
    );
  });

  test.each([
    `raw,machine,verify=no,verify=sha256\\:${DIGEST.slice(1)}:f:http://h/x`,
    `raw,machine,verify=no,verify=sha256:${DIGEST}0:f:http://h/x`,
    `raw,machine,verify=no,verify=SHA256\\:${DIGEST}:f:http://h/x`,
    'raw,machine,verify=no,verify=sha256\\:zz:f:http://h/x',
  ])('never falls back to a weaker mode: %s is refused', (expression) => {
    const error = refusal(() => parse(expression));
    expect(error.code).toBe('bad-expression');
    expect(error.message).toContain('has an unusable digest: "verify=');
  });

  test('without a field behind the digest there is no local name', () => {
    expect(refusal(() => parse(`raw,machine,verify=sha256:${DIGEST}`)).message).toBe(
      `pull expression "raw,machine,verify=sha256:${DIGEST}" names no local image`,
    );
  });
});

describe('an option that is ignored gets a warning with the nearest valid one:', () => {
  test.each<[string, string[]]>([
    [
      'raw,,machine,:f:http://h/x',
      [
        'an empty option is ignored: remove the comma beside it',
        'an empty option is ignored: remove the comma beside it',
      ],
    ],
    ['raw,machine,blckdev:f:http://h/x', ['unknown option "blckdev" is ignored: did you mean "blockdev"?']],
    ['raw,machine,RO:f:http://h/x', ['unknown option "RO" is ignored: did you mean "ro"?']],
    ['raw,machine,ro=1:f:http://h/x', ['unknown option "ro=1" is ignored: did you mean "ro"?']],
    [
      'raw,machine,verfy=no:f:http://h/x',
      ['unknown option "verfy=no" is ignored: did you mean "verify=no"?'],
    ],
    ['raw,machine,verify:f:http://h/x', ['unknown option "verify" is ignored: did you mean "verify="?']],
    [
      'raw,machine,keep-download:f:http://h/x',
      [`unknown option "keep-download" is ignored: valid are ${OPTIONS}`],
    ],
    ['raw,machine,verify=sig:f:http://h/x', ['"verify=sig" is ignored: did you mean "verify=signature"?']],
    [
      'raw,machine,verify=gpg:f:http://h/x',
      [
        '"verify=gpg" is ignored: valid are verify=no, verify=checksum, verify=signature, verify=yes, verify=sha256:HEX',
      ],
    ],
    [
      'raw,machine,runtime=maybe:f:http://h/x',
      ['"runtime=maybe" is ignored: write runtime=yes or runtime=no'],
    ],
    ['raw,machine,runtime=:f:http://h/x', ['"runtime=" is ignored: write runtime=yes or runtime=no']],
    ['raw,machine,\x1b[2J:f:http://h/x', [`unknown option "\\x1b[2J" is ignored: valid are ${OPTIONS}`]],
  ])('%j', (expression, warnings) => {
    const shown = expression.replace('\x1b', '\\x1b');
    expect(parse(expression)).toEqual({
      request: PLAIN,
      warnings: warnings.map((warning) => `pull expression "${shown}": ${warning}`),
    });
  });

  test('an unknown verify= keeps the mode before it', () => {
    expect(parse('raw,machine,verify=checksum,verify=gpg:f:http://h/x').request.verify).toEqual({
      kind: 'checksum',
    });
  });
});

describe('a refused expression', () => {
  test.each<[string, string, string, string]>([
    ['', 'bad-expression', 'names no local image', GRAMMAR],
    ['raw', 'bad-expression', 'names no local image', GRAMMAR],
    ['raw,machine', 'bad-expression', 'names no local image', GRAMMAR],
    ['raw,machine,bootorigin', 'bad-expression', 'names no local image', GRAMMAR],
    ['raw,machine:foo', 'bad-expression', 'names no remote image', GRAMMAR],
    ['raw,machine:', 'bad-expression', 'names no remote image', GRAMMAR],
    ['raw,machine::', 'bad-expression', 'names no remote image', GRAMMAR],
    [
      'raw,machine\\',
      'bad-expression',
      'ends in the middle of an escape: nothing follows its last backslash',
      'remove the backslash, or write it twice',
    ],
    [
      'raw,machine:foo\\',
      'bad-expression',
      'ends in the middle of an escape: nothing follows its last backslash',
      'remove the backslash, or write it twice',
    ],
    [
      'raw,machine:foo\\:http://h/x',
      'bad-url',
      'has an unusable URL: "//h/x" does not start with http://, https:// or file:/',
      'a colon is missing: write OPTIONS:LOCAL:URL, in which LOCAL may be empty',
    ],
    [
      'raw,machine:http://h/x',
      'bad-url',
      'has an unusable URL: "//h/x" does not start with http://, https:// or file:/',
      'a colon is missing: write OPTIONS:LOCAL:URL, in which LOCAL may be empty',
    ],
    [
      'raw,machine:f:ftp://h/x',
      'bad-url',
      'has an unusable URL: "ftp://h/x" does not start with http://, https:// or file:/',
      'write the URL behind the second colon, as http://HOST/FILE or https://HOST/FILE',
    ],
    [
      'raw,machine:f:http://',
      'bad-url',
      'has an unusable URL: "http://" ends where the host or the path should follow',
      'write the URL behind the second colon, as http://HOST/FILE or https://HOST/FILE',
    ],
    [
      'raw,machine,bootorigin:f:ä.raw',
      'bad-url',
      'has an unusable file name: "ä.raw" holds characters that a URL cannot',
      'percent-encode the file name',
    ],
    [
      'raw,machine:f:http://h/{machineid}/x.raw',
      'bad-url',
      'holds an unknown placeholder, {machineid}',
      'did you mean {machine-id}? (braces that mean themselves are written %7B and %7D)',
    ],
    [
      'raw,machine,bootorigin:f:{uid}.raw',
      'bad-url',
      'holds an unknown placeholder, {uid}',
      'did you mean {uuid}? (braces that mean themselves are written %7B and %7D)',
    ],
    [
      'raw,machine:f:http://{mac}.example.com/x.raw',
      'bad-url',
      'holds {mac}, the address of the interface that reaches the server, in the name of the server itself',
      'put it behind the host, or use {uuid} there',
    ],
    [
      'raw,machine::http://h/{serial}.raw.xz',
      'bad-image-name',
      'has no local name, and none can be derived from a file name with a placeholder in it',
      'write a local name between the first and the second colon',
    ],
    [
      'raw,machine,bootorigin::{serial}.raw.xz',
      'bad-image-name',
      'has no local name, and none can be derived from a file name with a placeholder in it',
      'write a local name between the first and the second colon',
    ],
    [
      'raw,machine:a/b:http://h/x',
      'bad-image-name',
      'has an unusable local name: "a/b" contains a slash',
      'write a plain file name between the first and the second colon',
    ],
    [
      'raw machine:foo:http://h/x',
      'bad-expression',
      'does not say what the image is',
      'add raw, tar or oci to the options',
    ],
    [
      'rww,machine:foo:http://h/x',
      'bad-expression',
      'does not say what the image is',
      'add raw, tar or oci to the options (is "rww" meant to be "raw"?)',
    ],
    [
      'raw,machines:foo:http://h/x',
      'bad-expression',
      'does not say what the image is for',
      'add machine, portable, sysext or confext to the options (is "machines" meant to be "machine"?)',
    ],
    [
      'raw:foo:http://h/x',
      'bad-expression',
      'does not say what the image is for',
      'add machine, portable, sysext or confext to the options',
    ],
    [
      'oci,machine:foo:http://h/X',
      'bad-reference',
      'has an unusable reference: "http://h/X" has a name that no registry takes',
      'write the name of the image in lower case',
    ],
    [
      'oci,machine,dhcporigin:foo:x',
      'bad-expression',
      'asks for "dhcporigin", which is for files, and not for oci',
      'leave it out',
    ],
    [
      'oci,machine,bootorigin:foo:x',
      'bad-expression',
      'asks for "bootorigin", which is for files, and not for oci',
      'leave it out',
    ],
    [
      'oci,machine,mirror=http\\://g/x:foo:h/x',
      'bad-expression',
      'asks for "mirror=", which is for files, and not for oci',
      'leave it out',
    ],
    [
      'oci,machine,blockdev:foo:h/x',
      'bad-expression',
      'asks for a block device, which no container image has',
      'say raw instead, or leave out blockdev',
    ],
    [
      'tar,machine,blockdev:f:http://h/x',
      'bad-expression',
      'asks for a block device, which no tar image has',
      'say raw instead, or leave out blockdev',
    ],
  ])('%j (%s)', (expression, code, what, hint) => {
    const error = refusal(() => parse(expression));
    expect(error.toRecord() as unknown).toEqual({
      code,
      message: `pull expression "${expression}" ${what}`,
      hint,
    });
  });

  test('whose URL yields no valid local name', () => {
    const error = refusal(() => parse('raw,machine::http://h/.raw'));
    expect(error.code).toBe('bad-image-name');
    expect(error.message).toBe(
      'no local name can be derived from "http://h/.raw": "", which is what remains of it, is empty',
    );
    expect(refusal(() => parse('raw,machine::http://h')).message).toBe(
      'no local name can be derived from "http://h": it names no file',
    );
  });

  test('keeps its warnings', () => {
    const warnings: string[] = [];
    const parsing = () =>
      parsePullExpression('raw machine:foo:http://h/x', (message) => warnings.push(message));
    expect(parsing).toThrow('does not say what the image is');
    expect(warnings).toEqual([
      `pull expression "raw machine:foo:http://h/x": unknown option "raw machine" is ignored: valid are ${OPTIONS}`,
    ]);
  });

  test('shows control characters and invisible ones escaped', () => {
    expect(refusal(() => parse('raw,machine:f:http://h/\x1b]0;x\x07\u202e')).message).toBe(
      'pull expression "raw,machine:f:http://h/\\x1b]0;x\\x07\\u{202e}" has an unusable URL: ' +
        '"http://h/\\x1b]0;x\\x07\\u{202e}" holds characters that a URL cannot',
    );
    expect(refusal(() => parse('raw,machine:a\nb:http://h/x')).message).toBe(
      'pull expression "raw,machine:a\\x0ab:http://h/x" has an unusable local name: "a\\x0ab" contains a control character',
    );
  });

  test.each<[string, string]>([
    ['nonsense,verify=sha256:a/b:ftp://', 'has an unusable local name'],
    ['nonsense,verify=sha256\\:x:f:ftp://', 'has an unusable digest'],
    ['nonsense:f:ftp://', 'has an unusable URL'],
    ['oci:f:http://H', 'has an unusable reference'],
    ['blockdev:f:http://h', 'does not say what the image is'],
    ['blockdev,tar:f:http://h', 'does not say what the image is for'],
  ])('is refused by the first thing that is wrong: %s %s', (expression, what) => {
    expect(refusal(() => parse(expression)).message).toContain(what);
  });

  test('blockdev is looked at after the derived name', () => {
    expect(refusal(() => parse('blockdev,tar,machine::http://h')).message).toContain('no local name');
  });
});

test('survives 2000 random expressions; what it accepts is valid', () => {
  const random = new SeededRandom(4);
  const parts: [string, ...string[]] = [
    'raw', 'tar', 'oci', 'machine', ',', ',', ':', ':', '\\', 'verify=', 'sha256', DIGEST, 'runtime=', 'yes', 'bootorigin',
    'blockdev', 'http://h/x', '/', '=', '\x1b[2J', '\x9b', '\u202e', 'ä', '\ud800', '..',
  ]; // biome-ignore format: a list of words
  let accepted = 0;
  for (let round = 0; round < 2000; round++) {
    const start = random.pick(['', 'raw,machine', 'tar,sysext,', 'raw,machine,bootorigin:']);
    const expression = start + random.text(parts, 12);
    survives(() => {
      const { request } = parse(expression);
      accepted++;
      if (request.local !== undefined) expect(imageNameDefect(request.local)).toBeUndefined();
      expect(request.blockdev && request.type === 'tar').toBe(false);
    });
  }
  expect(accepted).toBeGreaterThan(50);
});

test('a megabyte of colons, commas or backslashes takes no noticeable time', () => {
  for (const part of [':', ',', '\\', 'verify=sha256:', `verify=sha256:${DIGEST},`]) {
    const expression = part.repeat(1_000_000 / part.length);
    try {
      parsePullExpression(`raw,machine,${expression}`, () => {});
    } catch (error) {
      expect(error).toBeInstanceOf(RdpullError);
    }
  }
});

function parse(expression: string): { request: PullRequest; warnings: string[] } {
  const warnings: string[] = [];
  const request = parsePullExpression(expression, (message) => warnings.push(message));
  for (const warning of warnings) expect(warning).not.toMatch(/[\x00-\x1f\x7f-\x9f]/);
  return { request, warnings };
}
