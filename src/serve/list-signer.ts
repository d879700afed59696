import type { PrivateKey } from 'openpgp';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { readNamedFile } from '../kernel/named-file.ts';
import { isSystemError, reasonWithoutPath } from '../kernel/system-error.ts';

/** The largest key, and the largest passphrase, that is read, in bytes. */
const SECRET_MAX = 16 * 1024 * 1024;

/** Signs checksum files. */
export interface ListSigner {
  /** Who, for a person. */
  readonly name: string;
  /** Upper-case digits. */
  readonly fingerprint: string;
  /** A detached OpenPGP signature by every key of the file, without armor. */
  sign(content: string): Promise<Uint8Array>;
}

/**
 * Reads a secret key as gpg --export-secret-keys writes it, with or without armor, and tries it.
 *
 * @param passphraseFile holds its passphrase, in the first line
 * @throws RdpullError credential-unusable
 */
export async function readListSigner(file: string, passphraseFile: string | undefined): Promise<ListSigner> {
  const passphrase = passphraseFile === undefined ? undefined : readPassphrase(passphraseFile);
  const content = read(file, printable(file));
  try {
    const signer = signerWith(await readSigningKeys(content, passphrase));
    await signer.sign('');
    return signer;
  } catch (error) {
    throw new RdpullError(
      'credential-unusable',
      `the secret key in ${printable(file)} cannot sign: ${printable(reasonOf(error))}`,
      passphrase === undefined
        ? 'write it with gpg --export-secret-keys KEY; if it has a passphrase, give it with --passphrase=FILE'
        : 'check the passphrase, and that the key is neither expired nor revoked',
      { cause: error },
    );
  }
}

function readPassphrase(file: string): string | undefined {
  return read(file, shownUrl(`--passphrase=${file}`))
    .toString()
    .split(/\r?\n/)[0];
}

/** At least one key. Throws what OpenPGP.js throws. */
async function readSigningKeys(
  content: Buffer,
  passphrase: string | undefined,
): Promise<readonly [PrivateKey, ...PrivateKey[]]> {
  const { decryptKey, readPrivateKeys } = await import('openpgp');
  // A packet begins with its highest bit set (RFC 9580, section 4.2), armor with a letter or a dash.
  const isBinary = ((content[0] ?? 0) & 0x80) !== 0;
  const [first, ...others] = await (isBinary
    ? readPrivateKeys({ binaryKeys: content })
    : readPrivateKeys({ armoredKeys: content.toString() }));
  if (first === undefined) throw new Error('there is no secret key in it');
  if (passphrase === undefined) return [first, ...others];
  const open = (privateKey: PrivateKey) => decryptKey({ privateKey, passphrase });
  return [await open(first), ...(await Promise.all(others.map(open)))];
}

function signerWith(keys: readonly [PrivateKey, ...PrivateKey[]]): ListSigner {
  const [key] = keys;
  return {
    name: key.getUserIDs()[0] ?? 'a key without a name',
    fingerprint: key.getFingerprint().toUpperCase(),
    async sign(text) {
      const { createMessage, sign } = await import('openpgp');
      return sign({
        message: await createMessage({ binary: Buffer.from(text) }),
        signingKeys: [...keys],
        detached: true,
        format: 'binary',
        // As with gpg and with rdpull itself, a key without flags may do what its algorithm can.
        config: { allowMissingKeyFlags: true },
      });
    },
  };
}

function read(file: string, shown: string): Buffer {
  try {
    return readNamedFile(file, SECRET_MAX);
  } catch (error) {
    throw new RdpullError(
      'credential-unusable',
      `${shown} cannot be read: ${reasonWithoutPath(error)}`,
      'check the name of the file and its mode',
      // Others repeat the name of the file, which may be the passphrase itself.
      isSystemError(error, 'EMFILE', 'ENFILE') ? { cause: error } : {},
    );
  }
}
