import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { RdpullError } from '../../src/console/rdpull-error.ts';
import { entryOf, MANIFEST_MAX, parseManifest } from '../../src/verify/manifest.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const URL = 'http://h/SHA256SUMS';
const NOW = new Date('2026-11-22T12:00:00Z');
const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
/** The SHA-256 of nothing, which systemd-sysupdate wants for marker entries. */
const EMPTY = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const parse = (text: string | Uint8Array) => parseManifest(Buffer.from(text), URL, NOW);
const lookUp = (text: string | Uint8Array, name: string) => entryOf(parse(text), name).digest;

function refusal(action: () => unknown): RdpullError {
  try {
    action();
  } catch (error) {
    if (error instanceof RdpullError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('reads what sha256sum itself writes', () => {
  const names = [
    'image.raw',
    'two words.raw',
    'back\\slash',
    'new\nline',
    'carriage\rreturn',
    '-dash',
    'ümlaut.raw',
  ];

  test.each([[['--text']], [['--binary']], [['--tag']]])('with %p', (options) => {
    using directory = new TemporaryDirectory();
    for (const name of names) directory.write(name, `content of ${name}`);
    const { stdout } = spawnSync('sha256sum', [...options, '--', ...names], { cwd: directory.path });
    const digests = parse(stdout);
    for (const name of names) {
      const expected = new Bun.CryptoHasher('sha256').update(`content of ${name}`).digest('hex');
      expect(entryOf(digests, name).digest).toBe(expected);
    }
  });
});

describe('accepts', () => {
  test.each([
    ['two spaces', `${A}  image.raw\n`],
    ['a space and a star', `${A} *image.raw\n`],
    ['one space, as linuxcontainers.org writes it', `${A} image.raw\n`],
    ['a missing last newline', `${A}  image.raw`],
    ['carriage returns', `${B}  other\r\n${A}  image.raw\r\n`],
    ['capital digits', `${A.toUpperCase()}  image.raw\n`],
    ['a BSD line', `SHA256 (image.raw) = ${A}\n`],
    ['a path that begins with ./', `${A}  ./image.raw\n`],
    ['a byte order mark', `\u{feff}${A}  image.raw\n`],
    ['the same line twice', `${A}  image.raw\n${A} *image.raw\n`],
    ['blank lines and comments', `# made today\n\n${A}  image.raw\n\n`],
    [
      'other digests beside it',
      `MD5 (image.raw) = ${'c'.repeat(32)}\n${A}  image.raw\n${'d'.repeat(128)}  image.raw\n`,
    ],
  ])('%s', (_, text) => {
    expect(lookUp(text, 'image.raw')).toBe(A);
  });

  test.each([
    ['UTF-16, little-endian, as Windows PowerShell writes it', Buffer.from([0xff, 0xfe]), false],
    ['UTF-16, big-endian', Buffer.from([0xfe, 0xff]), true],
  ])('%s', (_, mark, isSwapped) => {
    const text = Buffer.from(`${B}  other\r\n${A}  \u00fcmlaut.raw\r\n`, 'utf16le');
    if (isSwapped) text.swap16();
    expect(lookUp(Buffer.concat([mark, text]), '\u00fcmlaut.raw')).toBe(A);
  });

  test('a byte order mark in the middle, of lists that were put behind each other', () => {
    expect(lookUp(`\u{feff}${B}  other\n\u{feff}${A}  image.raw\n`, 'image.raw')).toBe(A);
  });

  test.each([
    ['as systemd looks for it', 'my%20image.raw'],
    ['as sha256sum writes it', 'my image.raw'],
  ])('a name that the URL has percent-encoded, %s', (_, listed) => {
    expect(lookUp(`${B}  other\n${A}  ${listed}\n`, 'my%20image.raw')).toBe(A);
  });

  test('one of the two names only: two digests for one URL contradict each other', () => {
    const both = `${A}  my%20image.raw\n${B}  my image.raw\n`;
    expect(refusal(() => lookUp(both, 'my%20image.raw')).code).toBe('manifest-malformed');
    expect(lookUp(both, 'my%2520image.raw')).toBe(A);
  });

  test.each(['a%2Fb.raw', 'a%00b.raw', '100%.raw', 'a%ffb.raw'])(
    '%s as it stands: it makes no other name',
    (name) => {
      expect(lookUp(`${A}  ${name}\n${B}  a/b.raw\n`, name)).toBe(A);
    },
  );

  test('names with a parenthesis in a BSD line', () => {
    expect(lookUp(`SHA256 (image (1).raw) = ${A}\n`, 'image (1).raw')).toBe(A);
  });

  test('a file of exactly the longest length', () => {
    const line = `${A}  image.raw\n`;
    expect(lookUp(line + '#'.repeat(MANIFEST_MAX - line.length), 'image.raw')).toBe(A);
  });
});

describe('does not take for the file', () => {
  test.each([
    ['a name in other case', `${A}  Image.raw\n`],
    ['a name with something behind it', `${A}  image.raw.xz\n`],
    ['a name with something before it', `${A}  old-image.raw\n`],
    ['a file of that name in another directory', `${A}  old/image.raw\n`],
    ['a line that is indented', `${B}  x\n ${A}  image.raw\n`],
    ['a digest that is too long', `${B}  x\n${A}a  image.raw\n`],
    ['a digest that is too short', `${B}  x\n${A.slice(1)}  image.raw\n`],
    ['a line with an escape that sha256sum does not write', `${B}  x\n\\${A}  \\image.raw\n`],
    ['an escaped name in a line that is not marked', `${A}  image\\nraw\n`],
  ])('%s', (_, text) => {
    expect(refusal(() => lookUp(text, 'image.raw')).code).toBe('manifest-not-listed');
  });
});

describe('refuses', () => {
  test('two digests for one file', () => {
    const error = refusal(() => lookUp(`${A}  image.raw\n${B}  image.raw\n`, 'image.raw'));
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).toBe(
      'http://h/SHA256SUMS contradicts itself: it gives 2 different digests for "image.raw"',
    );
  });

  test('a file without any digest, and shows how it begins', () => {
    const error = refusal(() => parse('Index of /\nimage.raw\n'));
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).toBe(
      'http://h/SHA256SUMS is no checksum file: it holds no line with a SHA-256 digest and a name, and begins with "Index of /"',
    );
    expect(error.hint).toBe('write it with: sha256sum IMAGE > IMAGE.sha256');
  });

  test.each([false, true])(
    'UTF-16 without a byte order mark, and says what to do (swapped: %p)',
    (isSwapped) => {
      const text = Buffer.from(`${A}  image.raw\r\n`, 'utf16le');
      if (isSwapped) text.swap16();
      const error = refusal(() => parse(text));
      expect(error.code).toBe('manifest-malformed');
      expect(error.message).toBe(
        'http://h/SHA256SUMS is no checksum file that can be read: it seems to be UTF-16, without the byte order mark that would say so',
      );
      expect(error.hint).toBe(
        'write it as plain text: sha256sum IMAGE > IMAGE.sha256, or in PowerShell with Out-File -Encoding ascii; then sign it anew',
      );
    },
  );

  test('a bare digest, which names no file', () => {
    expect(refusal(() => parse(`${A}\n`)).code).toBe('manifest-malformed');
  });

  test('bytes that are no text, without sending them to the terminal', () => {
    const error = refusal(() => parse(Uint8Array.of(0x1b, 0x5b, 0x32, 0x4a, 0, 0xff, 0x9b)));
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).not.toMatch(/[\p{Cc}]/u);
    expect(error.message).toContain('\\x1b[2J');
  });

  test('a file longer than 1 MiB', () => {
    const error = refusal(() => parse(`${A}  image.raw\n`.padEnd(MANIFEST_MAX + 1, '#')));
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).toContain('longer than the 1048576 bytes');
  });

  test('a file of a megabyte that matches almost, in reasonable time', () => {
    const almost = `\\${A}  ${'\\n'.repeat(500_000)}\\x`;
    expect(refusal(() => parse(almost)).code).toBe('manifest-malformed');
    expect(refusal(() => parse(`SHA256 (${') = '.repeat(250_000)}`)).code).toBe('manifest-malformed');
  });
});

describe('when the file is not listed', () => {
  test('says so, and which names come near', () => {
    const text = ['image_1.2.raw', 'image_1.3.raw', 'other', 'image_1.1.raw.xz', 'image_9.9.raw']
      .map((name) => `${A}  ${name}\n`)
      .join('');
    const error = refusal(() => lookUp(text, 'image_1.4.raw'));
    expect(error.code).toBe('manifest-not-listed');
    expect(error.message).toBe(
      'http://h/SHA256SUMS does not list "image_1.4.raw"; it does list "image_1.2.raw", "image_1.3.raw", "image_9.9.raw"',
    );
    expect(error.hint).toBe(
      'add the line that sha256sum prints for the file under exactly this name, and sign the checksum file again',
    );
  });

  test('finds the name behind a path', () => {
    expect(refusal(() => lookUp(`${A}  /srv/build/image.raw\n`, 'image.raw')).message).toBe(
      'http://h/SHA256SUMS does not list "image.raw"; it does list "/srv/build/image.raw"',
    );
  });

  test('looks near the name without its percent-encoding, too', () => {
    expect(refusal(() => lookUp(`${A}  my images.raw\n`, 'my%20image.raw')).message).toBe(
      'http://h/SHA256SUMS does not list "my%20image.raw" or "my image.raw"; it does list "my images.raw"',
    );
  });

  test('names nothing that has nothing to do with it', () => {
    expect(refusal(() => lookUp(`${A}  completely-different.tar\n`, 'image.raw')).message).toBe(
      'http://h/SHA256SUMS does not list "image.raw"',
    );
  });

  test('shows control characters of a name as text', () => {
    const { message } = refusal(() => lookUp(`${A}  ima\u{1b}ge.raw\n`, 'image.raw'));
    expect(message).toContain('"ima\\x1bge.raw"');
  });
});

describe('an entry BEST-BEFORE-', () => {
  const withDate = (...dates: string[]) =>
    `${A}  image.raw\n${dates.map((date) => `${EMPTY}  BEST-BEFORE-${date}\n`).join('')}`;

  test('with a date to come is fine', () => {
    expect(lookUp(withDate('2026-11-23'), 'image.raw')).toBe(A);
  });

  test('with a date that has passed makes the list expire', () => {
    const error = refusal(() => parse(withDate('2027-01-01', '2026-11-21')));
    expect(error.code).toBe('manifest-malformed');
    expect(error.message).toBe(
      "the manifest http://h/SHA256SUMS expired on 2026-11-21; this machine's clock says 2026-11-22T12:00:00.000Z",
    );
    expect(error.hint).toBe(
      'publish a checksum file with a later BEST-BEFORE entry, or set the clock of this machine',
    );
  });

  test('expires when its day begins, as for systemd-sysupdate', () => {
    expect(refusal(() => parse(withDate('2026-11-22'))).message).toContain('expired on 2026-11-22');
    expect(
      entryOf(parseManifest(Buffer.from(withDate('2026-11-22')), URL, new Date('2026-11-22')), 'image.raw')
        .digest,
    ).toBe(A);
  });

  test.each(['2026-02-30', '2026-13-01', 'soon', '2026-11-23T00', '12026-01-01', ''])(
    'refuses the date %p',
    (date) => {
      expect(refusal(() => parse(`${withDate()}${EMPTY}  BEST-BEFORE-${date}\n`)).message).toBe(
        `http://h/SHA256SUMS carries the entry "BEST-BEFORE-${date}", which names no date`,
      );
    },
  );
});

test('a name may hold what Unicode, and not sha256sum, takes for the end of a line', () => {
  const [name, digest] = ['image\u2028\u2029\u0085.raw', 'ab'.repeat(32)];
  const manifest = parseManifest(Buffer.from(`${digest}  ${name}\n`), 'http://h/SHA256SUMS', new Date());
  expect(entryOf(manifest, name).digest).toBe(digest);
});
