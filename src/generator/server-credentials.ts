import { ENCRYPTED_STORES } from '../request/encrypted-credential.ts';

/** The credentials that open servers: `rdpull pull` reads them (src/source/server-login.ts). */
export const HTTP_CREDENTIALS: readonly string[] = ['rdpull.bearer', 'rdpull.login'];

/** The credentials for NVMe servers: `rdpull attach` reads them (src/nvme/secret.ts). */
export const NVME_CREDENTIALS: readonly string[] = ['rdpull.dhchap-secret', 'rdpull.dhchap-ctrl-secret'];

/** Where systemd looks for what LoadCredential= names (systemd.exec(5)). */
const PLAIN = ['/run/credentials/@system', '/etc/credstore', '/run/credstore', '/usr/lib/credstore'] as const;

/**
 * The settings that give a service these credentials, as far as this machine has them. Those that are encrypted rdpull
 * decrypts itself: with LoadCredentialEncrypted= systemd does not even start a service whose credential it cannot
 * decrypt, and nobody learns why from the console.
 *
 * @param exists whether a file exists
 */
export function serverCredentials(
  exists: (path: string) => boolean,
  names: readonly string[],
): [string, string][] {
  return names
    .filter(
      (name) =>
        !ENCRYPTED_STORES.some((store) => exists(`${store}/${name}`)) &&
        PLAIN.some((store) => exists(`${store}/${name}`)),
    )
    .map((name) => ['LoadCredential', name]);
}
