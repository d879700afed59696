import { printable } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** Where systemd looks for the encrypted credentials of services (systemd.exec(5)), those that it was booted with first. */
export const ENCRYPTED_STORES = [
  '/run/credentials/@encrypted',
  '/etc/credstore.encrypted',
  '/run/credstore.encrypted',
  '/usr/lib/credstore.encrypted',
] as const;

/** Where it lies in an initrd and elsewhere: generators run with no PATH of their own making. */
const SYSTEMD_CREDS = '/usr/bin/systemd-creds';
/** A TPM takes its time, but not this long; in ms. */
const TIMEOUT = 30_000;

/**
 * The text of an encrypted credential (systemd-creds(1)): bound to this machine's TPM, or to its host key. systemd-creds
 * itself decrypts it, and checks that it carries the name of its file.
 *
 * @throws RdpullError file-unreadable
 */
export function decryptCredential(path: string): string {
  const refused = (reason: string) =>
    new RdpullError(
      'file-unreadable',
      `it is encrypted, and ${reason}`,
      `encrypt it anew on this machine: systemd-creds encrypt --name=${printable(path.slice(path.lastIndexOf('/') + 1))} - FILE`,
    );
  let result: ReturnType<typeof Bun.spawnSync>;
  try {
    result = Bun.spawnSync([SYSTEMD_CREDS, 'decrypt', '--newline=no', path, '-'], { timeout: TIMEOUT });
  } catch {
    throw refused(`there is no ${SYSTEMD_CREDS} here to decrypt it with`);
  }
  const { success, stdout, stderr } = result;
  if (!success || stdout === undefined) {
    const said = printable(stderr?.toString().trim().split('\n').at(-1) ?? '').replace(/\.$/, '');
    const why = [
      ...(said === '' ? [] : [`: ${said}`]),
      // What systemd says depends on its version, and on what the TPM has been used for.
      ...(/TPM/.test(said) ? ['; it was sealed to another TPM, or to another state of this one'] : []),
    ];
    throw refused(`systemd-creds cannot decrypt it${why.join('')}`);
  }
  return stdout.toString();
}
