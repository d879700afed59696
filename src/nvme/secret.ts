import { RdpullError } from '../console/rdpull-error.ts';
import { serviceCredential } from '../source/server-login.ts';

/** The credentials that hold them, as nvme-connect(1) calls its options. */
const HOST = 'rdpull.dhchap-secret';
const CONTROLLER = 'rdpull.dhchap-ctrl-secret';

/** The textual form of a secret: NVM Express Base Specification, "DH-HMAC-CHAP", and nvme-gen-dhchap-key(1). */
const SECRET = /^DHHC-1:0[0-3]:([A-Za-z0-9+/]+={0,2}):$/;

/** Bytes of a secret, and of the CRC-32 behind it. */
const SIZES: readonly number[] = [32, 48, 64];
const CHECKSUM = 4;

/** The secrets of DH-HMAC-CHAP, never to be shown. */
export interface DhchapSecrets {
  /** What this machine shows itself with. */
  readonly host: string;
  /** What the server has to show itself with; undefined: it need not. */
  readonly controller: string | undefined;
}

/**
 * What this machine and an NVMe server authenticate themselves with to each other; undefined where it has none. They are looked at
 * before the kernel is: it writes a secret that it does not understand into its log.
 *
 * @throws RdpullError credential-unusable
 */
export function dhchapSecrets(
  environment: Readonly<Record<string, string | undefined>>,
): DhchapSecrets | undefined {
  const host = readSecret(HOST, environment);
  const controller = readSecret(CONTROLLER, environment);
  if (host !== undefined) return { host, controller };
  if (controller === undefined) return undefined;
  throw new RdpullError(
    'credential-unusable',
    `the credential ${CONTROLLER} cannot be used without ${HOST}: a server shows itself only to who has done so`,
    `give this machine its own secret as well, as the credential ${HOST}`,
  );
}

function readSecret(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const text = serviceCredential(name, environment)?.trim();
  const defect = text === undefined ? undefined : secretDefect(text);
  if (defect === undefined) return text;
  throw new RdpullError(
    'credential-unusable',
    `the credential ${name} cannot be used: ${defect}`,
    'it has to hold one line, as nvme gen-dhchap-key prints it: DHHC-1:00:...:',
  );
}

/** What is wrong with a secret, in words that do not quote it. */
function secretDefect(text: string): string | undefined {
  const [, encoded] = SECRET.exec(text) ?? [];
  if (encoded === undefined) return 'it is no secret of DH-HMAC-CHAP';
  const bytes = Buffer.from(encoded, 'base64');
  const size = bytes.length - CHECKSUM;
  if (bytes.toString('base64') !== encoded || !SIZES.includes(size))
    return `it holds no secret of ${SIZES.join(', ')} bytes with a checksum behind it: part of it is missing`;
  if (bytes.readUInt32LE(size) !== Bun.hash.crc32(bytes.subarray(0, size)))
    return 'its checksum is not that of the secret: it was mistyped, or changed';
  return undefined;
}
