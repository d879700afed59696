import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { entryOf, parseManifest } from '../../src/verify/manifest.ts';
import { always, cases, mutatedText, unlessRefused } from '../fixtures/property.ts';
import { run } from '../fixtures/run.ts';
import { TemporaryDirectory } from '../fixtures/temporary-directory.ts';

const NOW = new Date('2026-11-24T12:00:00Z');
const digest = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
const name = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 20 })
  // What U+FEFF begins a text is a byte order mark, and dates are judged.
  .filter((each) => each.isWellFormed() && !/^\.\/|^BEST-BEFORE-|[\0\ufeff]/.test(each));

/** A line as sha256sum writes it: coreutils, digest.c, print_filename(). */
function line(file: string, hex: string, tagged: boolean): string {
  const mark = /[\\\n\r]/.test(file) ? '\\' : '';
  const written = file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return tagged ? `${mark}SHA256 (${written}) = ${hex}\n` : `${mark}${hex}  ${written}\n`;
}

const parse = (text: string) => parseManifest(Buffer.from(text), 'http://host/SHA256SUMS', NOW);

test('what sha256sum lists comes back', () => {
  const list = fc.uniqueArray(fc.tuple(name, digest, fc.boolean()), {
    minLength: 1,
    maxLength: 5,
    selector: ([n]) => n,
  });
  always(list, (files) => {
    const text = files.map(([file, hex, tagged]) => line(file, hex, tagged)).join('');
    const manifest = parse(text);
    expect(manifest.entries).toHaveLength(files.length);
    for (const [file, hex] of files) expect(entryOf(manifest, file).digest).toBe(hex);
  });
});

test('sha256sum itself writes the lines that this test supposes', () => {
  using directory = new TemporaryDirectory();
  const names = cases(name, 200).filter(
    (each) => !each.includes('/') && each !== '.' && Buffer.byteLength(each) < 256,
  );
  for (const each of new Set(names)) {
    directory.write(each, each);
    for (const options of [[], ['--tag']]) {
      const written = run(['sha256sum', ...options, '--', each], { cwd: directory.path }).toString();
      const hex = new Bun.CryptoHasher('sha256').update(each).digest('hex');
      expect(written).toBe(line(each, hex, options.length > 0));
    }
  }
});

test('any text lists digests, or is refused', () => {
  const hex = '0123456789abcdef'.repeat(4);
  const samples = [
    `${hex}  image.raw.xz\n${hex.replaceAll('0', '1')} *./other.raw\n`,
    `SHA256 (image.raw) = ${hex.toUpperCase()}\r\n\\${hex}  a\\nb\n${hex}  BEST-BEFORE-2027-01-01\n`,
    `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${hex} x\n-----BEGIN PGP SIGNATURE-----\n`,
  ];
  const words = ['\n', '\r\n', '  ', ' *', '\\', 'SHA256 (', ') = ', 'BEST-BEFORE-', '2027-02-30', hex];
  always(mutatedText(samples, words), (text) => {
    const manifest = unlessRefused(() => parse(text));
    for (const { name, digest } of manifest?.entries ?? []) {
      expect(name).not.toBe('');
      expect(digest).toMatch(/^[0-9a-f]{64}$/);
      expect(text.toLowerCase()).toContain(digest);
    }
    if (manifest !== undefined) unlessRefused(() => entryOf(manifest, 'image.raw.xz'));
  });
});
