import path from 'node:path';
import { printable } from '../../console/printable.ts';
import { RdpullError, reasonOf } from '../../console/rdpull-error.ts';
import { readNamedFile } from '../../kernel/named-file.ts';
import { isSystemError } from '../../kernel/system-error.ts';
import { keyringMissing } from '../trust-file.ts';
import { addRevocation, type Certificate, type Certificates, mergeInto } from './certificate.ts';
import { readKeyFile } from './key-file.ts';
import { readSignature } from './signature-packet.ts';
import { SIGNATURE_TYPE } from './signature-type.ts';
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
  /** Takes a line for each file that is passed over, or of which something is. */
  readonly warn?: (text: string) => void;
}

/** The public keys that this machine trusts to sign images. */
export interface Keyring {
  /** None where there is none: it is for the caller to decide whether that is an error. */
  readonly keys: readonly Certificate[];
  /** The files they came from. */
  readonly files: readonly string[];
  /** All places that were looked at, for messages. */
  readonly places: readonly string[];
  /** What was found and cannot be used: a sentence for each file. */
  readonly passedOver: readonly string[];
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
 * Copies of one key are merged, whatever files they come from. A file without content holds no key, so that linking the
 * administrator's keyring to /dev/null is no error.
 *
 * A key, a certification or an armored block that cannot be used takes nothing with it. A file that ends in the middle is
 * refused nevertheless: the revocation that matters may be what is missing.
 *
 * @throws RdpullError keyring-missing for a file that was asked for, keyring-malformed, bad-argument
 */
export async function loadKeyring(choice: KeyringChoice): Promise<Keyring> {
  const { root = '/', warn = () => undefined } = choice;
  const paths = keyringPaths(choice);
  const areDefaults = paths.length > 0 && paths.every((alternatives) => alternatives.length > 1);
  const read: { readonly file: string; readonly found: Certificates }[] = [];
  for (const alternatives of paths) {
    const found = readFirst(alternatives);
    if (found !== undefined) {
      read.push({ file: found.file, found: await parseKeys(found.content, found.file) });
    } else if (!areDefaults) {
      throw keyringMissing(alternatives[0] ?? '');
    }
  }
  for (const { file, fingerprint } of areDefaults ? voaVerifiers(root, warn) : []) {
    const found = await parseKeys(readWhole(file), file);
    const [key, ...others] = found.certificates;
    if (found.unusable.length === 0 && (key?.fingerprint !== fingerprint || others.length > 0)) {
      warn(`${printable(file)} is not considered: it does not hold the one key that its name tells`);
      continue;
    }
    read.push({ file, found });
  }

  const passedOver = read.flatMap(({ file, found }) => describeUnusable(file, found.unusable));
  for (const text of passedOver) warn(text);
  return {
    keys: await merged(read.map(({ found }) => found)),
    files: read.map(({ file }) => file),
    places: [...paths.flat(), ...(areDefaults ? voaPatterns() : [])],
    passedOver,
  };
}

/** One certificate for each key, with all that any of the files knows of it. */
async function merged(files: readonly Certificates[]): Promise<readonly Certificate[]> {
  const keys = new Map<string, Certificate>();
  for (const certificate of files.flatMap(({ certificates }) => certificates)) {
    const known = keys.get(certificate.fingerprint);
    if (known === undefined) keys.set(certificate.fingerprint, certificate);
    else mergeInto(known, certificate);
  }
  const byKeyId = Map.groupBy(keys.values(), ({ primary }) => primary.getKeyID().toHex());
  for (const body of files.flatMap(({ revocations }) => revocations)) {
    const revocation = await readSignature(body);
    if (revocation?.type !== SIGNATURE_TYPE.keyRevocation) continue;
    const revoked = byKeyId.get(revocation.packet.issuerKeyID.toHex()) ?? [];
    for (const certificate of revoked) addRevocation(certificate, body);
  }
  return [...keys.values()];
}

/** How many kinds of unusable keys are named. */
const KINDS_MAX = 3;

/** Nothing, or one sentence. */
function describeUnusable(file: string, unusable: readonly string[]): string[] {
  if (unusable.length === 0) return [];
  const counts = new Map<string, number>();
  for (const kind of unusable) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`);
  const rest = kinds.length - KINDS_MAX;
  const named = kinds.slice(0, KINDS_MAX).join(', ');
  const others = rest > 0 ? ` and ${rest} other kind${rest === 1 ? '' : 's'}` : '';
  const keys = unusable.length === 1 ? '1 key is' : `${unusable.length} keys are`;
  return [`${printable(file)}: ${keys} passed over, which cannot be used here: ${named}${others}`];
}

function readFirst(files: readonly string[]): { file: string; content: Uint8Array } | undefined {
  for (const file of files) {
    try {
      return { file, content: readNamedFile(file, KEYRING_MAX) };
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) continue;
      // A keyring that is there but cannot be read is not passed over: it may hold the revocation that matters.
      throw malformed(file, error);
    }
  }
  return undefined;
}

/** @throws RdpullError keyring-malformed */
function readWhole(file: string): Uint8Array {
  try {
    return readNamedFile(file, KEYRING_MAX);
  } catch (error) {
    throw malformed(file, error);
  }
}

async function parseKeys(content: Uint8Array, file: string): Promise<Certificates> {
  try {
    return await readKeyFile(content);
  } catch (error) {
    throw malformed(file, error);
  }
}

function malformed(file: string, cause: unknown): RdpullError {
  const reason = reasonOf(cause);
  return new RdpullError(
    'keyring-malformed',
    `cannot use the keyring ${printable(file)}: ${reason}`,
    'write it anew with: gpg --export KEY... > FILE',
    { cause },
  );
}
