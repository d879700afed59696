import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import fs from 'node:fs';
import path from 'node:path';
import { RdpullError } from '../../../src/console/rdpull-error.ts';
import { loadTrustedCertificates } from '../../../src/verify/cms/trusted-certificates.ts';
import { ImageSigner } from '../../fixtures/image-signer.ts';
import { TemporaryDirectory } from '../../fixtures/temporary-directory.ts';

const signer = new ImageSigner();
const [one, two, three] = ['one', 'two', 'three'].map((name) =>
  fs.readFileSync(signer.identity({ subject: `/CN=${name}` }).certificate, 'utf8'),
) as [string, string, string];
let root: TemporaryDirectory;

beforeEach(() => {
  root?.[Symbol.dispose]();
  root = new TemporaryDirectory();
});
afterAll(() => {
  root[Symbol.dispose]();
  signer[Symbol.dispose]();
});

function put(name: string, content: string): string {
  const file = root.file(name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, content);
  return file;
}

function subjects(certificates: readonly string[] = []): string[] {
  return loadTrustedCertificates({ certificates, root: root.path }).certificates.map(
    ({ subject }) => subject,
  );
}

function refusal(certificates: readonly string[]): RdpullError {
  try {
    subjects(certificates);
  } catch (error) {
    if (error instanceof RdpullError) return error;
  }
  throw new Error('it was accepted');
}

describe('reads', () => {
  test('*.crt of the four directories of systemd', () => {
    put('etc/verity.d/a.crt', one);
    put('run/verity.d/b.crt', two);
    put('usr/lib/verity.d/c.crt', three);
    put('usr/lib/verity.d/c.pem', 'something else');
    expect(subjects()).toEqual(['CN=one', 'CN=two', 'CN=three']);
  });

  test("the administrator's file in place of the vendor's of the same name, and /dev/null as none", () => {
    put('etc/verity.d/a.crt', one);
    put('usr/lib/verity.d/a.crt', two);
    put('usr/lib/verity.d/b.crt', three);
    fs.symlinkSync('/dev/null', root.file('etc/verity.d/b.crt'));
    expect(subjects()).toEqual(['CN=one']);
  });

  test('several certificates of one file, with text around them', () => {
    put('etc/verity.d/a.crt', `subject=one\n${one}\nsubject=two\n${two}`);
    expect(subjects()).toEqual(['CN=one', 'CN=two']);
  });

  test('the files that are named, and then no others', () => {
    put('etc/verity.d/a.crt', one);
    expect(subjects([put('b.pem', two)])).toEqual(['CN=two']);
  });

  test('nothing where there is nothing', () => {
    expect(subjects()).toEqual([]);
  });
});

describe('refuses', () => {
  test('a file that was named and does not exist', () => {
    const error = refusal(['/nowhere/a.crt']);
    expect(error.code).toBe('keyring-missing');
    expect(error.message).toBe('the certificate /nowhere/a.crt does not exist');
  });

  test('a file that holds no certificate', () => {
    const error = refusal([put('a.crt', 'not one')]);
    expect(error.code).toBe('keyring-malformed');
    expect(error.message).toBe(
      `cannot use the certificates in ${root.file('a.crt')}: it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`,
    );
  });

  test('a damaged certificate in a directory of the system, and does not pass it over', () => {
    put('etc/verity.d/a.crt', one.replace(/[A-Z]/g, 'A'));
    expect(refusal([]).code).toBe('keyring-malformed');
  });

  test('a file that is too large', () => {
    expect(refusal([put('a.crt', one.repeat(2000))]).message).toContain('it is longer than 1048576 bytes');
  });
});
