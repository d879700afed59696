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
 * @param exists whether a file or a directory exists
 */
export function serverCredentials(
  exists: (path: string) => boolean,
  names: readonly string[],
): [string, string][] {
  // Mostly there is none of the directories: then eight calls are enough for any number of names.
  const encrypted = ENCRYPTED_STORES.filter((store) => exists(store));
  const plain = PLAIN.filter((store) => exists(store));
  const isIn = (stores: readonly string[], name: string) =>
    stores.some((store) => exists(`${store}/${name}`));
  return names
    .filter((name) => !isIn(encrypted, name) && isIn(plain, name))
    .map((name) => ['LoadCredential', name]);
}
