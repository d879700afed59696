/** The credentials that open servers: `rdpull pull` reads them (src/source/server-login.ts). */
const NAMES = ['rdpull.bearer', 'rdpull.login'] as const;

/** Where systemd looks for what LoadCredential= names (systemd.exec(5)). */
const PLAIN = ['/run/credentials/@system', '/etc/credstore', '/run/credstore', '/usr/lib/credstore'] as const;
/** And where it looks first for what LoadCredentialEncrypted= names. */
const ENCRYPTED = [
  '/run/credentials/@encrypted',
  '/etc/credstore.encrypted',
  '/run/credstore.encrypted',
  '/usr/lib/credstore.encrypted',
] as const;

/**
 * The settings that give a service these credentials, as far as this machine has them. Only those: systemd fails a
 * service whose LoadCredentialEncrypted= finds plain text, and ImportCredential=, which takes either, is unknown before
 * systemd 254.
 *
 * @param exists whether a file exists
 */
export function serverCredentials(exists: (path: string) => boolean): [string, string][] {
  const isIn = (name: string) => (directory: string) => exists(`${directory}/${name}`);
  return NAMES.flatMap((name): [string, string][] => {
    if (ENCRYPTED.some(isIn(name))) return [['LoadCredentialEncrypted', name]];
    return PLAIN.some(isIn(name)) ? [['LoadCredential', name]] : [];
  });
}
