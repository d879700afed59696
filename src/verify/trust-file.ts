import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** What to do where there is no key. */
export const KEYRING_HINT =
  "put the signer's public key into /etc/systemd/import-pubring.pgp of the initrd (gpg --export KEY), or name a file with --keyring=FILE";

/** A keyring that was asked for is not there. */
export function keyringMissing(file: string): RdpullError {
  return new RdpullError(
    'keyring-missing',
    `there is no keyring to check signatures with: the keyring ${printable(file)} does not exist`,
    KEYRING_HINT,
  );
}

/** A file of certificates that was asked for is not there. */
export function certificateMissing(file: string): RdpullError {
  return new RdpullError(
    'keyring-missing',
    `the certificate ${printable(file)} does not exist`,
    'check the path given with --certificate=FILE',
  );
}
