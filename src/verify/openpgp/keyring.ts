import fs from 'node:fs/promises';
import path from 'node:path';
import type { Key } from 'openpgp';
import { printable } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { readArmor } from './armor.ts';
import { isKeybox, keyboxCertificates } from './keybox.ts';
import { voaPatterns, voaVerifiers } from './voa-hierarchy.ts';

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
  /** Takes a line for each file that is passed over. */
  readonly warn?: (text: string) => void;
}

/** The public keys that this machine trusts to sign images. */
export interface Keyring {
  /** None where there is none: it is for the caller to decide whether that is an error. */
  readonly keys: readonly Key[];
  /** The files they came from. */
  readonly files: readonly string[];
  /** All places that were looked at, for messages. */
  readonly places: readonly string[];
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
 * (`gpg --export`) or a keybox; and, where neither option nor variable replaces the defaults, those of the VOA hierarchy.
 * The same key may come from several files; {@link findCertificate} merges the copies.
 * A file without content holds no key, so that linking the administrator's keyring to /dev/null is no error.
 *
 * @throws RdpullError keyring-missing for a file that was asked for, keyring-malformed, bad-argument
 */
export async function loadKeyring(choice: KeyringChoice): Promise<Keyring> {
  const paths = keyringPaths(choice);
  const areDefaults = paths.length > 0 && paths.every((alternatives) => alternatives.length > 1);
  const keys: Key[] = [];
  const files: string[] = [];
  for (const alternatives of paths) {
    const found = await readFirst(alternatives);
    if (found === undefined) {
      if (!areDefaults) throw missing(alternatives[0] ?? '');
      continue;
    }
    files.push(found.file);
    keys.push(...(await parseKeys(found.content, found.file)));
  }
  if (areDefaults) {
    const { root = '/', warn = () => undefined } = choice;
    for (const { file, fingerprint } of voaVerifiers(root, warn)) {
      const [key, ...others] = await parseKeys(await readBounded(file), file);
      if (key === undefined || others.length > 0 || key.getFingerprint() !== fingerprint) {
        warn(`${printable(file)} is not considered: it does not hold the one key that its name tells`);
        continue;
      }
      files.push(file);
      keys.push(key);
    }
  }
  return { keys, files, places: [...paths.flat(), ...(areDefaults ? voaPatterns() : [])] };
}

function missing(file: string): RdpullError {
  return new RdpullError(
    'keyring-missing',
    `there is no keyring to check signatures with: the keyring ${file} does not exist`,
    KEYRING_HINT,
  );
}

/** What to do where there is no key. */
export const KEYRING_HINT =
  "put the signer's public key into /etc/systemd/import-pubring.pgp of the initrd (gpg --export KEY), or name a file with --keyring=FILE";

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
