import { RdpullError } from '../console/rdpull-error.ts';
import { serviceCredential } from '../source/server-login.ts';

const CREDENTIAL = 'rdpull.dhchap-secret';

/** The textual form of a secret: NVM Express Base Specification, "DH-HMAC-CHAP", and nvme-gen-dhchap-key(1). */
const SECRET = /^DHHC-1:[0-9]{2}:[A-Za-z0-9+/]{16,200}={0,2}:$/;

/**
 * The secret that this machine shows itself with to an NVMe server; undefined where it has none.
 *
 * @throws RdpullError credential-unusable
 */
export function dhchapSecret(environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const text = serviceCredential(CREDENTIAL, environment)?.trim();
  if (text === undefined || SECRET.test(text)) return text;
  throw new RdpullError(
    'credential-unusable',
    `the credential ${CREDENTIAL} cannot be used: it is no secret of DH-HMAC-CHAP`,
    'it has to hold one line, as nvme gen-dhchap-key prints it: DHHC-1:00:...:',
  );
}
