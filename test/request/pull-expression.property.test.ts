import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseCommandLine } from '../../src/commands/command-line.ts';
import { pull } from '../../src/commands/pull.ts';
import { pullRequest } from '../../src/commands/pull-arguments.ts';
import { planPull } from '../../src/generator/planned-pull.ts';
import { pullArguments } from '../../src/generator/pull-arguments.ts';
import { imageNameDefect } from '../../src/request/image-name.ts';
import { formatOnDemand } from '../../src/request/on-demand.ts';
import { parsePullExpression } from '../../src/request/pull-expression.ts';
import { type PullRequest, remoteText } from '../../src/request/pull-request.ts';
import { formatRootOverlay, parseRootOverlay } from '../../src/request/root-overlay.ts';
import { formatVerifyMode } from '../../src/request/verify-mode.ts';
import { always, mutatedText, requirePrintable, unlessRefused } from '../fixtures/property.ts';

const HEX = 'a3'.repeat(32);

const EXPRESSIONS = [
  'raw,machine,blockdev:root:http://10.0.0.1:8081/image.raw.xz',
  'raw,machine,bootorigin::',
  'raw,machine,bootorigin:root:sub/image.raw.zst',
  'tar,portable,ro,verify=checksum,runtime=no:name:https://example.com/{serial}/root.tar.zst',
  `raw,sysext,verify=sha256:${HEX}:root:https://[2001:db8::1]:8443/x.raw?y#z`,
  'raw,confext,mirror=https://one.example/x.raw,mirror=http://two.example:81/x.raw:root:http://three.example/x.raw',
  'tar,machine:a\\:b\\\\c:file:///srv/x.tar',
];
const WORDS = [
  ...[
    'raw',
    'tar',
    'oci',
    'machine',
    'sysext',
    'ro',
    'rw',
    'blockdev',
    'bootorigin',
    'runtime=',
    'verify=',
    'mirror=',
  ],
  ...[
    'http://',
    'https://',
    'file:/',
    '://',
    ':',
    '::',
    ',',
    '{mac}',
    '{',
    '}',
    '..',
    '.#',
    `sha256:${HEX}`,
    '\\:',
  ],
];

test('any expression is understood or refused, and what is said about it can be printed', () => {
  always(mutatedText(EXPRESSIONS, WORDS), (expression) => {
    const request = unlessRefused(() => parsePullExpression(expression, requirePrintable));
    if (request === undefined) return;
    if (request.local !== undefined) expect(imageNameDefect(request.local)).toBeUndefined();
    if (request.blockdev) expect(request.type).toBe('raw');
    if (request.remote.kind === 'url')
      expect(request.remote.url).toMatch(/^(https?:\/\/|file:\/)[\x20-\x7e]+$/);
  });
});

const url = fc.constantFrom(
  'http://h/x.raw',
  'https://h.example:8443/a/b:c,d.tar.xz',
  'file:///srv/x',
  'http://[::1]/x',
);

const request: fc.Arbitrary<PullRequest> = fc.record({
  remote: fc.oneof(
    url.map((each) => ({ kind: 'url' as const, url: each })),
    fc.constantFrom(undefined, 'x.raw', 'a b/c:d.raw').map((name) => ({ kind: 'bootorigin' as const, name })),
  ),
  mirrors: fc.uniqueArray(url, { maxLength: 3 }),
  stores: fc.constant([]),
  type: fc.constantFrom('raw', 'tar'),
  imageClass: fc.constantFrom('machine', 'portable', 'sysext', 'confext'),
  local: fc.string({ unit: 'grapheme', maxLength: 30 }).filter((name) => imageNameDefect(name) === undefined),
  verify: fc.oneof(
    fc.constantFrom({ kind: 'no' as const }, { kind: 'checksum' as const }, { kind: 'signature' as const }),
    fc.constant({ kind: 'sha256' as const, digest: HEX }),
  ),
  readOnly: fc.boolean(),
  blockdev: fc.boolean(),
  overcommit: fc.boolean(),
  report: fc.boolean(),
  onDemand: fc.option(
    fc.record({
      isRequired: fc.boolean(),
      fillRate: fc.oneof(
        fc.constantFrom(0, Number.POSITIVE_INFINITY),
        fc.integer({ min: 1024, max: 2 ** 40 }),
      ),
    }),
    { nil: undefined },
  ),
  overlay: fc
    .constantFrom(undefined, 'tmpfs', 'LABEL=my data', '/dev/disk/by-path/pci-0:1-part2?')
    .map((text) => (text === undefined ? undefined : parseRootOverlay(text))),
  ramDisk: fc.boolean(),
  runtime: fc.constantFrom(undefined, true, false),
});

const escaped = (text: string) => text.replaceAll(/[\\:,]/g, '\\$&');

/** An expression that asks for `request`, which names a local image. */
function formatted({
  remote,
  mirrors,
  type,
  imageClass,
  local,
  verify,
  readOnly,
  blockdev,
  overcommit,
  report,
  onDemand,
  overlay,
  ramDisk,
  runtime,
}: PullRequest): string {
  const options = [
    ...[
      type,
      imageClass,
      readOnly ? 'ro' : 'rw',
      ...(onDemand === undefined ? [] : formatOnDemand(onDemand)),
      ...(ramDisk ? ['ramdisk'] : []),
      `verify=${formatVerifyMode(verify)}`,
    ],
    ...mirrors.map((mirror) => `mirror=${mirror.replaceAll(/[\\:]/g, '\\$&').replaceAll(',', '%2C')}`),
    ...(blockdev ? ['blockdev'] : []),
    ...(overlay === undefined ? [] : [`overlay=${formatRootOverlay(overlay).replaceAll(':', '\\:')}`]),
    ...(overcommit ? ['overcommit'] : []),
    ...(report ? [] : ['no-report']),
    ...(runtime === undefined ? [] : [`runtime=${runtime ? 'yes' : 'no'}`]),
    ...(remote.kind === 'bootorigin' ? ['bootorigin'] : []),
  ];
  return `${options.join(',')}:${escaped(local ?? '')}:${remoteText(remote)}`;
}

test('what an expression says comes back', () => {
  always(request, (drawn) => {
    const asked = { ...drawn, overlay: drawn.imageClass === 'machine' ? drawn.overlay : undefined };
    const isDisk = asked.type === 'raw' && asked.imageClass === 'machine';
    const isOnDemand = asked.onDemand !== undefined && isDisk;
    const ramDisk = asked.ramDisk && isDisk;
    const valid = {
      ...asked,
      onDemand: isOnDemand ? asked.onDemand : undefined,
      ramDisk,
      readOnly: asked.readOnly || isOnDemand || ramDisk,
      blockdev: isOnDemand || ramDisk || (asked.blockdev && asked.type === 'raw'),
      mirrors: asked.mirrors.map((mirror) => mirror.replaceAll(',', '%2C')),
    };
    expect(parsePullExpression(formatted(valid), requirePrintable)).toEqual(valid);
  });
});

test('the unit of any expression asks for the same as the expression', () => {
  always(fc.tuple(mutatedText(EXPRESSIONS, WORDS, 4), fc.boolean()), ([expression, inInitrd]) => {
    unlessRefused(() => {
      const asked = parsePullExpression(expression, requirePrintable);
      const planned = planPull(asked, inInitrd, { path: '/proc/cmdline', isShared: false });
      const [, ...args] = pullArguments(planned);
      const line = parseCommandLine(pull, args);
      expect(pullRequest(line, requirePrintable)).toEqual({
        ...asked,
        local: planned.object.local,
        runtime: undefined,
      });
      expect(line.value('image-root')).toBe(planned.object.directory);
    });
  });
});

test('no message about an expression repeats a password in it', () => {
  const secret = 'S3cr3tS3cr3t';
  const withLogin = EXPRESSIONS.map((each) => each.replaceAll('https://', `https://user:${secret}@`));
  always(mutatedText(withLogin, ['raw', 'oci', ':', ',', 'x', '{mac}', 'local', '..'], 3), (expression) => {
    // A password that is cut in two by a character that ends the host is none any more.
    if (!/:\/\/user:S3cr3tS3cr3t@/.test(expression)) return;
    const said: string[] = [];
    try {
      parsePullExpression(expression, (text) => void said.push(text));
    } catch (error) {
      said.push(String(error));
    }
    for (const text of said) expect(text).not.toContain(secret);
  });
});
