import fs from 'node:fs';
import path from 'node:path';
import type { Entry, Site } from './bench-comparison.ts';
import { shell } from './bench-shell.ts';
import { measure } from './bench-usage.ts';

/** Keys as people have them: RSA of 4096 bits, and a certificate of the same. */
const SIGN = `
cd "$1"
export GNUPGHOME=$PWD/gnupg
mkdir -m 700 gnupg
gpg --batch --quiet --passphrase '' --quick-generate-key bench@example.org rsa4096 sign never
gpg --export >keys.pgp
gpg --batch --quiet --detach-sign --output SHA256SUMS.gpg SHA256SUMS
gpgconf --kill all
openssl req -x509 -newkey rsa:4096 -nodes -keyout key.pem -out certificate.pem -subj /CN=bench 2>/dev/null
openssl cms -sign -binary -in SHA256SUMS -signer certificate.pem -inkey key.pem -outform DER -out SHA256SUMS.p7s
`;

/**
 * A pull of 1 KiB with each mode of verification: the difference to verify=no is what verification adds to any pull, for
 * the digest itself is computed while the bytes stream.
 */
export function verificationEntries(rdpull: string, { url, scratch, destination }: Site): Entry[] {
  const directory = path.join(scratch, 'signed');
  fs.mkdirSync(directory);
  fs.writeFileSync(path.join(directory, 'image.raw'), crypto.getRandomValues(new Uint8Array(1024)));
  shell('cd "$1" && sha256sum image.raw >SHA256SUMS', directory);
  shell(SIGN, directory);
  const entry = (verified: string, ...options: string[]): Entry => ({
    peer: `rdpull, ${verified}`,
    verified,
    async run() {
      const run = await measure(
        [
          ...[rdpull, 'pull', '--quiet', '--force', `--image-root=${destination}`, ...options],
          `${url}/${path.basename(scratch)}/signed/image.raw`,
        ],
        { scratch, stagePeaks: undefined },
      );
      if (!run.ok) throw new Error(`rdpull fails with status ${run.status}: ${run.messages}`);
      return run.usage;
    },
  });
  return [
    entry('verify=no', '--verify=no'),
    entry('verify=checksum', '--verify=checksum'),
    entry('verify=signature, OpenPGP', `--keyring=${directory}/keys.pgp`),
    entry('verify=signature, CMS', `--certificate=${directory}/certificate.pem`),
  ];
}
