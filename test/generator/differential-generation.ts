import { SeededRandom } from '../request/seeded-random.ts';
import type { Case } from './differential-case.ts';

const TYPES = ['raw', 'tar'] as const;
const CLASSES = ['machine', 'portable', 'sysext', 'confext'] as const;
const BOOLEANS = ['1', 'yes', 'Y', 'TRUE', 't', 'on', '0', 'no', 'N', 'False', 'f', 'off'] as const;
const DIGEST = 'E3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** Options that both sides take, or that both ignore. */
const OPTIONS = [
  'ro',
  'rw',
  'blockdev',
  'verify=no',
  'verify=checksum',
  'verify=signature',
  'verify=',
  'verify=NO',
  'verify=none',
  'verify=no ',
  'verify',
  'runtime=',
  'runtime=maybe',
  'runtime',
  'runtime=yes=no',
  'Raw',
  'rwa',
  ' raw',
  'raw ',
  'raw=yes',
  'tar=',
  'machine=no',
  'mashine',
  'machines',
  'systemd',
  'ro=yes',
  'block-dev',
  'boot-origin',
  'verify-no',
  'keep-download=yes',
  'size=10G',
  '',
  '=',
  'ä',
  '"ro"',
  'ra\\w',
  'r\\o',
  'ro\\',
  'verify=n\\o',
  "'ro'",
] as const;

/** Options that mean something to one side only. */
const DISPUTED_OPTIONS = [
  'verify=yes',
  `verify=sha256:${DIGEST}`,
  `verify=${DIGEST.toLowerCase()}`,
  'verify=sha256',
  'verify=sha256:',
  `verify=sha256:${DIGEST.slice(1)}`,
  `verify=SHA-256:${DIGEST}`,
  `verify=sha512:${DIGEST}`,
  `verify=${DIGEST}0`,
  'oci',
] as const;

const LOCALS = [
  'root',
  'rootdisk',
  'a b',
  ' ',
  'Ünï-cödé',
  '日本',
  '😀',
  'a\u0301',
  '\u0085',
  '\u200b',
  '.hidden',
  '-x',
  '--',
  '_',
  'a:b',
  'a\\b',
  '\\x2d',
  '.#x',
  '#x',
  '.',
  '..',
  '...',
  'a/b',
  '/',
  '../x',
  'tab\tx',
  'line\nx',
  'del\x7f',
  'bell\x07',
  'x.raw',
  'x.raw.xz',
  '%n',
  '100%',
  '{machine-id}',
  "it's",
  'say "x"',
  '$HOME',
  '@',
  'a@b',
  'a,b',
  'a=b',
  '~',
  '\ufeff',
  '\ufffd',
  'bad\udcff',
  '\udcc3\udca4',
  '\udce2\udc82',
] as const;

const SCHEMES = [
  'http://',
  'https://',
  'file:/',
  'file:/',
  'file:///',
  'file:///',
  'file://',
  'file:////',
  'http:/',
  'http:',
  'https:///',
  'HTTP://',
  'ftp://',
  '//',
  '',
  ' http://',
  'file:',
] as const;

const HOSTS = [
  'h',
  'example.com',
  'h:8081',
  '10.0.0.1:80',
  '[fe80::1%25eth0]:8081',
  'user:p%40ss@h',
  'h:',
  '',
  'h\\x',
  'bücher.example',
  '{machine-id}',
  '{mac}.h',
] as const;

const PATHS = [
  '/image.raw',
  '/image.raw.xz',
  '/d/e/image.tar.gz',
  '/image.tar',
  '/',
  '//',
  '',
  '/d/',
  '/d/x///',
  '/.raw',
  '/.tar',
  '/.',
  '/..',
  '/../x.raw',
  '/.#x.raw',
  '/x.sysext.raw.zst',
  '/x.confext.raw',
  '/x.raw.sysext.raw',
  '/x.img.bin.qcow2.gz',
  '/x.raw.lz4',
  '/x.RAW',
  '/x.tgz',
  '/x.tar.tar',
  '/x.tar.bz2',
  '/x.tar.zst.raw',
  '/x.txz',
  '/a%20b.raw',
  '/100%.raw',
  '/%%n.raw',
  '/a b.raw',
  "/it's.raw",
  '/"x".raw',
  '/a\\b.raw',
  '/a\\x2d.raw',
  '/$HOME/$x.raw',
  '/ä.raw',
  '/\udcff.raw',
  '/x\x01.raw',
  '/x\n.raw',
  '/x\t.raw',
  '/x\x7f.raw',
  '/{machine-id}/x.raw',
  '/{arch}.raw',
  '/{nonsense}/x.raw',
  '/{Machine-ID}/x.raw',
  '/{}/x.raw',
  '/{x y}.raw',
  '/a:b:c.raw',
  '/.raw.raw.raw',
  '/raw',
] as const;

const TAILS = [
  '?x=1',
  '?x=1&y=/2.raw',
  '#f',
  '?a#b/c.tar',
  '#a?b',
  '/?',
  '?',
  '#',
  ';v=1',
  '??##',
  '/#/?/',
] as const;

const BOOT_URLS = [
  'http://192.168.100.1:8081/uki.efi',
  'https://h/a/b/uki.efi?tok=1#f',
  'http://h',
  'http://h/',
  'http://h//x///',
  'http://u:p@h/x',
  'http://[fe80::1%25eth0]/x/y.efi',
  'https://h/d/uki.efi\x7f\x04',
  'http://h/a b/100%25/uki.efi',
  'http://h/d?x=/y/z',
  'http://h/d\ud800/x.efi',
  'http://h/d/x.efi\0ignored',
  'http:///x.efi',
  'http://',
  'ftp://h/x.efi',
  'file:///x.efi',
  'http://h/ä.efi',
  '',
] as const;

const BOOT_NAMES = [
  'image.raw',
  'image.raw.xz',
  'image.tar.zst',
  'sub/../r.raw',
  '/abs.raw',
  'x?y=1',
  'a b.raw',
  'a%20b.raw',
  'http://other/x.raw',
  '..',
  'a:b.raw',
  'x/',
  '?x',
  'ä.raw',
  "it's.raw",
  '{arch}.raw',
  '{what}.raw',
  '',
] as const;

/** Characters that mean something to one of the parsers. */
const NOTEWORTHY = [...':\\,=\'" \t\n%/{}.#?-_ä\udcff\x7f\x01'] as unknown as [string, ...string[]];

/** What systemd.unit(5) allows as an action, some that it does not, and nothing. */
const ACTIONS = [
  'none',
  'reboot',
  'reboot-force',
  'reboot-immediate',
  'poweroff',
  'exit',
  'soft-reboot-force',
  'kexec',
  'halt-immediate',
  'Reboot',
  'reboot_force',
  'nonsense',
  'none ',
  '',
] as const;

/** Expressions that chance makes too seldom. */
const CORNERS = [
  '',
  ':',
  '::',
  'raw',
  'raw,machine:foo',
  'raw,machine:foo:',
  'raw,machine::',
  'raw,mach\\ine:a\\:b:http://h/x',
  'raw,machine:foo\\:http://h/x',
  'raw,machine:foo:http\\://h/x',
  'raw machine:foo:http://h/x',
  'tar,machine,blockdev:f:http://h/x',
  'raw,machine:x:http://h/x\\',
  'raw,machine:x\\:http://h/x',
  'raw,machine:x\\',
  'raw,machine\\',
  'raw,machine,ro\\\\,rw:x:http://h/x',
  'raw,machine,ro\\\\:x:http://h/x',
  'oci,machine:x:http://h/x',
  'oci,machine::http://h/x',
  'oci,machine:x:ftp://h/x',
  'oci,raw,machine:x:http://h/x',
  'raw,oci,machine,blockdev:x:http://h/x',
  'raw,machine,verify=no,verify=yes:x:http://h/x',
  'raw,machine:x:http:///?x',
  'raw,machine:x:https:////#',
  'raw,machine:x:file://',
  'raw,machine:x:file:///',
  'raw,machine:x:file:/?x',
  'raw,machine:\udcc3\\\udca4:http://h/x',
  'raw,machine:\ufffd:http://h/x',
  'raw,machine::http://h/\ufffd.raw',
  `raw,machine::http://h/${'x'.repeat(255)}.raw`,
  `raw,machine::http://h/${'x'.repeat(256)}.raw`,
  `tar,confext::http://h/${'%'.repeat(60)}`,
  // Around the longest name of a unit.
  ...[51, 52, 53, 54, 55, 56, 57].map((length) => `raw,machine:${'-'.repeat(length)}:http://h/x`),
  'raw,bootorigin:x:image.raw',
  'raw,machine,bootorigin:x:ä.raw',
  'raw,sysext,bootorigin::',
  'raw,sysext,bootorigin:x',
  'raw,machine,bootorigin::?',
  'raw,machine,bootorigin::#.raw',
] as const;

/** One expression each: the corner cases, and `count` in all, most of them nearly right. */
export function expressionCases(seed: number, count: number): Case[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const inInitrd = random.below(4) > 0;
    const corner = CORNERS[index];
    const bootOrigin = corner?.includes('bootorigin') ?? random.below(7) === 0;
    const expression =
      corner ?? (random.below(5) > 0 ? wellSplit(random, bootOrigin) : mutated(random, bootOrigin));
    // Mostly there for who asks for it, and now and then a trap for who does not.
    const isThere = (random.below(bootOrigin ? 10 : 40) === 0) !== bootOrigin;
    const chosen = isThere ? random.pick(BOOT_URLS) : undefined;
    return {
      commandLine: `${pullKey(inInitrd)}=${quote(random, expression)}${random.pick(['', ' root=LABEL=x'])}`,
      credential: undefined,
      inInitrd,
      bootUrl: corner === undefined ? chosen : 'https://h/a/b/uki.efi',
      expressions: [expression],
      successActions: [],
      failureActions: [],
    };
  });
}

/** Whole command lines: several expressions between other parameters, in all spellings of the key. */
export function commandLineCases(seed: number, count: number): Case[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => {
    const inInitrd = random.below(2) === 0;
    const expressions: string[] = [];
    const successActions: string[] = [];
    const failureActions: string[] = [];
    const words = Array.from({ length: 1 + random.below(8) }, () => {
      const expression = plainExpression(random);
      const action = random.pick(ACTIONS);
      switch (random.below(10)) {
        case 0:
          return quote(
            random,
            random.pick(['quiet', 'root=x y', 'rd.systemd.pullx=a', "rd.it's", '=', 'rd.', '=x']),
          );
        case 1:
          return quote(random, `${foreignKey(random, inInitrd)}=${expression}`);
        case 2:
          return random.pick([
            pullKey(inInitrd),
            `${pullKey(inInitrd)}=`,
            `${pullKey(inInitrd)}=raw,machine:x`,
          ]);
        case 3:
          successActions.push(action);
          return quote(random, `${respelt(random, `${pullKey(inInitrd)}.success_action`)}=${action}`);
        case 4:
          failureActions.push(action);
          return quote(random, `${respelt(random, `${pullKey(inInitrd)}.failure-action`)}=${action}`);
        default:
          expressions.push(expression);
          return quote(random, `${pullKey(inInitrd)}=${expression}`);
      }
    });
    const gaps = [' ', ' ', '  ', '\t', '\n', ' \r\n'] as const;
    // A quote that nobody closes takes the rest of the line.
    const end = random.pick(['', '', '', ' ', '\n', ` x='y ${pullKey(inInitrd)}=raw,machine:no:http://h/x`]);
    return {
      commandLine: words.map((word) => word + random.pick(gaps)).join('') + end,
      credential: undefined,
      inInitrd,
      bootUrl: undefined,
      expressions,
      successActions,
      failureActions,
    };
  });
}

/** Expressions for credentials. */
const [ONE, OTHER] = ['raw,sysext:one:http://h/1', 'tar,confext:other:http://h/2'];

/** Credentials that chance makes too seldom. */
const CREDENTIALS = [
  '',
  '\n',
  '\0',
  `${ONE}\r${OTHER}`,
  `${ONE}\r\r${OTHER}\r`,
  `${ONE}\n\r${OTHER}\n\r`,
  `${ONE}\0${OTHER}\0`,
  `${ONE}\n\0\n${OTHER}`,
  `${ONE}\u00a0\n${OTHER}`,
  `\ufeff${ONE}\n${OTHER}`,
  `\u2003${ONE}\n\u2003${OTHER}`,
  `${ONE}\v\n${OTHER}\f`,
  `\udcff${ONE}\n${OTHER}`,
  `${ONE}\udcff\n${OTHER}`,
  `'${ONE}'\n"${OTHER}"`,
  `;${ONE}\n${OTHER}`,
  `${ONE}\\\n${OTHER}`,
  ...[2046, 2047, 2048, 2049, 4096].map((length) => `${ONE}\n${'#'.repeat(length)}\n${OTHER}`),
  `${' '.repeat(2048)}${ONE}\n${OTHER}`,
  `${ONE}?${'x'.repeat(2046 - ONE.length)}\n${OTHER}`,
] as const;

/** Credentials with an expression on each line, more or less. */
export function credentialCases(seed: number, count: number): Case[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const expressions: string[] = [];
    const lines = Array.from({ length: 1 + random.below(6) }, () => {
      const expression = plainExpression(random);
      if (random.below(4) === 0) {
        return random.pick([
          '',
          ' ',
          '#',
          `# ${expression}`,
          ` \t#${expression}`,
          'raw',
          `rd.systemd.pull=${expression}`,
        ]);
      }
      expressions.push(expression);
      return random.pick(['', '', ' ', '\t ']) + expression + random.pick(['', '', ' ', ' \t']);
    });
    const inInitrd = random.below(2) === 0;
    const corner = CREDENTIALS[index];
    let commandLine = '';
    if (random.below(3) === 0) {
      const expression = plainExpression(random);
      expressions.unshift(expression);
      commandLine = `${pullKey(inInitrd)}=${quote(random, expression)}`;
    }
    return {
      commandLine,
      credential:
        corner ?? lines.join(random.pick(['\n', '\n', '\n\n', '\r\n', '\n\r'])) + random.pick(['', '\n']),
      inInitrd,
      bootUrl: undefined,
      expressions: corner === undefined ? expressions : [],
      successActions: [],
      failureActions: [],
    };
  });
}

function pullKey(inInitrd: boolean): string {
  return inInitrd ? 'rd.systemd.pull' : 'systemd.pull';
}

/** A key that is not for this side of the boot, or for none. */
function foreignKey(random: SeededRandom, inInitrd: boolean): string {
  return random.pick([
    pullKey(!inInitrd),
    `rd.rd.systemd.pull`,
    'rd-systemd.pull',
    'systemd_pull',
    'systemd-pull',
    `${pullKey(inInitrd)}.`,
    `${pullKey(inInitrd)}.success`,
    `${pullKey(inInitrd).toUpperCase()}`,
    ` ${pullKey(inInitrd)}`,
    `"${pullKey(inInitrd)}`,
    `x.${pullKey(inInitrd)}`,
  ]);
}

/** The key with other separators, which systemd takes for the same. */
function respelt(random: SeededRandom, key: string): string {
  return key.replace(/[-_]/g, () => random.pick(['-', '_']));
}

/** An expression without anything that the two sides might see differently. */
function plainExpression(random: SeededRandom): string {
  const options = [
    random.pick(TYPES),
    random.pick(CLASSES),
    ...Array.from({ length: random.below(3) }, () => plainOption(random)),
  ];
  const local = random.pick(['', 'root', 'a b', 'x-y_z', 'Ünï', "it's", `n${random.below(1000)}`]);
  const remote = `${random.pick(['http', 'https'])}://h${random.below(50)}${random.pick(['/d/x.raw', '/y.tar.xz', "/z z'z", '/a?b=c d', '/'])}`;
  return `${options.join(',')}:${local}:${remote}`;
}

function plainOption(random: SeededRandom): string {
  return random.below(3) === 0 ? `runtime=${random.pick(BOOLEANS)}` : random.pick(OPTIONS);
}

/** An expression with its three fields in place, whatever they hold. */
function wellSplit(random: SeededRandom, bootOrigin: boolean): string {
  const options: string[] = Array.from({ length: random.below(4) }, () => plainOption(random));
  if (random.below(15) > 0) options.push(random.pick(TYPES));
  if (random.below(15) > 0) options.push(random.pick(CLASSES));
  if (random.below(10) === 0) options.push(random.pick(DISPUTED_OPTIONS));
  if (random.below(10) === 0) options.push(random.pick(TYPES), random.pick(CLASSES));
  if (bootOrigin) options.push('bootorigin');
  shuffle(random, options);
  // The colon of a digest is the one that may stand unescaped.
  const written = options.map((option) =>
    option.startsWith('verify=sha256:') && random.below(2) === 0 ? option : escaped(random, option),
  );
  return `${written.join(',')}:${escaped(random, local(random))}:${remote(random, bootOrigin)}`;
}

function local(random: SeededRandom): string {
  switch (random.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return '';
    case 4: {
      // Around the limits of a file's and of a unit's name.
      const [character, most] = random.pick<readonly [string, number]>([
        ['x', 260],
        ['ä', 130],
        ['-', 70],
        ['😀', 66],
      ]);
      return character.repeat(1 + (random.below(2) === 0 ? most - random.below(40) : random.below(most)));
    }
    case 5:
    case 6:
      return random.text(['a', 'B', '7', '-', '_', '.', ' ', ':', 'é', '%', '\\'], 12);
    default:
      return random.pick(LOCALS);
  }
}

function remote(random: SeededRandom, bootOrigin: boolean): string {
  if (bootOrigin && random.below(8) > 0) return random.pick(BOOT_NAMES);
  const tail = random.below(4) === 0 ? random.pick(TAILS) : '';
  return (
    (random.below(3) === 0 ? random.pick(SCHEMES) : random.pick(['http://', 'https://'])) +
    (random.below(2) === 0 ? 'h' : random.pick(HOSTS)) +
    random.pick(PATHS) +
    tail
  );
}

/** An expression with a few characters added, taken away or doubled. */
function mutated(random: SeededRandom, bootOrigin: boolean): string {
  const characters = [...wellSplit(random, bootOrigin)];
  for (let times = 1 + random.below(3); times > 0; times--) {
    const at = random.below(characters.length + 1);
    switch (random.below(4)) {
      case 0:
        characters.splice(at, 1);
        break;
      case 1:
        characters.splice(at, 0, characters[at] ?? '');
        break;
      case 2:
        characters.splice(at, random.below(2), random.pick(NOTEWORTHY));
        break;
      default:
        characters.splice(at, random.below(characters.length));
    }
  }
  return characters.join('');
}

/** The text of a field, with backslashes where they are needed and where they are not. */
function escaped(random: SeededRandom, text: string): string {
  return [...text]
    .map((character) => (':\\'.includes(character) || random.below(20) === 0 ? `\\${character}` : character))
    .join('');
}

/** The text as (part of) a word of the command line, quoted where it has to be and where it has not. */
function quote(random: SeededRandom, text: string): string {
  let written = '';
  let open = '';
  for (const character of text) {
    const possible = ["'", '"', ...(/[ \t\r\n]/.test(character) ? [] : [''])].filter((mark) =>
      character !== "'" && character !== '"' ? true : mark !== '' && mark !== character,
    );
    if (!possible.includes(open) || random.below(12) === 0) {
      const mark = possible[random.below(possible.length)] ?? '';
      written += open + mark;
      open = mark;
    }
    written += character;
  }
  return written + open;
}

function shuffle(random: SeededRandom, list: string[]): void {
  for (let last = list.length - 1; last > 0; last--) {
    const [moved = ''] = list.splice(random.below(last + 1), 1);
    list.push(moved);
  }
}
