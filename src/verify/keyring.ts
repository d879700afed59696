import fs from 'node:fs/promises';
import path from 'node:path';
import type { Key } from 'openpgp';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { readArmor } from './armor.ts';
import { isKeybox, keyboxCertificates } from './keybox.ts';

/** The largest keyring file that is read, in bytes. */
export const KEYRING_MAX = 16 * 1024 * 1024;

/** The directories whose keyrings are merged: the administrator's, and the vendor's (systemd#43485). */
const KEYRING_DIRECTORIES = ['/etc/systemd', '/usr/lib/systemd'];
/** The names of a keyring in there; the first one that exists counts. The second is from before systemd 258. */
const KEYRING_NAMES = ['import-pubring.pgp', 'import-pubring.gpg'];

/** Which files to take keys from. */
export interface KeyringChoice {
  /** The files of `--keyring=`. If there are any, they replace all others, and each has to exist. */
  readonly files: readonly string[];
  /** Where `SYSTEMD_OPENPGP_KEYRING` is looked up. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The directory that stands for `/` in the default paths. */
  readonly root?: string;
}

/** The public keys that this machine trusts to sign images. */
export interface Keyring {
  readonly keys: readonly Key[];
  /** The files they came from. */
  readonly files: readonly string[];
}

/**
 * The keyring files to read, most specific rule first: `--keyring=`; `$SYSTEMD_OPENPGP_KEYRING` (systemd 262); the
 * administrator's and the vendor's keyring. Of each inner list, the first file that exists counts.
 *
 * @throws RdpullError bad-argument when the variable does not hold an absolute path
 */
export function keyringPaths(choice: KeyringChoice): readonly (readonly string[])[] {
  if (choice.files.length > 0) return choice.files.map((file) => [file]);

  const { SYSTEMD_OPENPGP_KEYRING: override } = choice.environment ?? process.env;
  if (override !== undefined && override !== '') {
    if (!path.isAbsolute(override)) {
      throw new RdpullError(
        'bad-argument',
        `the environment variable SYSTEMD_OPENPGP_KEYRING is ${JSON.stringify(override)}, which is no absolute path`,
        'set it to an absolute path, or use --keyring=FILE',
      );
    }
    return [[override]];
  }
  return KEYRING_DIRECTORIES.map((directory) =>
    KEYRING_NAMES.map((name) => path.join(choice.root ?? '/', directory, name)),
  );
}

/**
 * Reads the keys of all keyrings that apply: armored (any number of blocks, with text around them), binary
 * (`gpg --export`) or a keybox. The same key may come from several files; {@link findCertificate} merges the copies.
 * A file without content holds no key, so that linking the administrator's keyring to /dev/null is no error.
 *
 * @throws RdpullError keyring-missing, keyring-malformed, bad-argument
 */
export async function loadKeyring(choice: KeyringChoice): Promise<Keyring> {
  const paths = keyringPaths(choice);
  const keys: Key[] = [];
  const files: string[] = [];
  for (const alternatives of paths) {
    const found = await readFirst(alternatives);
    if (found === undefined) {
      if (choice.files.length > 0) throw missing(alternatives);
      continue;
    }
    files.push(found.file);
    keys.push(...(await parseKeys(found.content, found.file)));
  }
  if (files.length === 0) throw missing(paths.flat());
  if (keys.length === 0) {
    throw new RdpullError(
      'keyring-missing',
      `there is no key to check signatures with: ${files.join(' and ')} hold${files.length === 1 ? 's' : ''} none`,
      EXPORT_HINT,
    );
  }
  return { keys, files };
}

const EXPORT_HINT =
  "put the signer's public key into /etc/systemd/import-pubring.pgp of the initrd (gpg --export KEY), or name a file with --keyring=FILE";

function missing(files: readonly string[]): RdpullError {
  const [file = '', ...others] = files;
  const which =
    others.length === 0 ? `the keyring ${file} does not exist` : `none of ${files.join(', ')} exists`;
  return new RdpullError(
    'keyring-missing',
    `there is no keyring to check signatures with: ${which}`,
    EXPORT_HINT,
  );
}

async function readFirst(
  files: readonly string[],
): Promise<{ file: string; content: Uint8Array } | undefined> {
  for (const file of files) {
    try {
      return { file, content: await readBounded(file) };
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) continue;
      // A keyring that is there but cannot be read is not passed over: it may hold the revocation that matters.
      throw malformed(file, error);
    }
  }
  return undefined;
}

async function readBounded(file: string): Promise<Uint8Array> {
  const { size } = await fs.stat(file);
  if (size > KEYRING_MAX) throw new Error(`it has ${size} bytes, more than the ${KEYRING_MAX} that are read`);
  return fs.readFile(file);
}

async function parseKeys(content: Uint8Array, file: string): Promise<Key[]> {
  if (content.length === 0) return [];
  try {
    const keys = await readKeys(content);
    if (keys.some((key) => key.isPrivate())) {
      throw new Error('it holds a secret key, which must not be on the machines that only verify');
    }
    return keys;
  } catch (error) {
    throw malformed(file, error);
  }
}

async function readKeys(content: Uint8Array): Promise<Key[]> {
  const openpgp = await import('openpgp');
  if (isKeybox(content)) {
    const binaryKeys = keyboxCertificates(content);
    return binaryKeys.length === 0 ? [] : openpgp.readKeys({ binaryKeys });
  }
  // The first octet of a binary packet has its highest bit set (RFC 9580, section 4.2).
  if (((content[0] ?? 0) & 0x80) !== 0) return openpgp.readKeys({ binaryKeys: content });

  const { blocks } = readArmor(new TextDecoder().decode(content));
  if (blocks.length === 0) throw new Error('it is neither armored nor binary OpenPGP, nor a keybox');
  const keys = await Promise.all(blocks.map((block) => openpgp.readKeys({ armoredKeys: block.text })));
  return keys.flat();
}

function malformed(file: string, cause: unknown): RdpullError {
  const reason = reasonOf(cause);
  return new RdpullError(
    'keyring-malformed',
    `cannot use the keyring ${file}: ${reason}`,
    'write it anew with: gpg --export KEY... > FILE',
    { cause },
  );
}
