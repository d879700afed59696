import fs from 'node:fs';
import { RdpullError } from '../console/rdpull-error.ts';
import { formatVerifyMode, type VerifyMode } from '../request/verify-mode.ts';
import { certificateMissing, keyringMissing } from '../verify/trust-file.ts';
import type { CommandLine, OptionSpec } from './command.ts';

/** The options for {@link trusted}. */
export const TRUST_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'keyring',
    value: 'FILE',
    repeatable: true,
    help: 'trust the OpenPGP keys in FILE, and not those of the system',
  },
  {
    name: 'certificate',
    value: 'FILE',
    repeatable: true,
    help: 'trust the X.509 certificates (PEM) in FILE to sign images, and not those of the system',
  },
];

/** Whose signatures count; without any file, those of whom the system trusts. */
export interface Trust {
  readonly keyrings: readonly string[];
  readonly certificates: readonly string[];
}

/**
 * @param verify what vouches for the file; undefined where that is not known yet
 * @throws RdpullError bad-option where no signature is asked for, keyring-missing
 */
export function trusted(line: CommandLine, verify?: VerifyMode): Trust {
  const keyrings = line.values('keyring');
  const certificates = line.values('certificate');
  if (verify !== undefined && verify.kind !== 'signature' && keyrings.length + certificates.length > 0) {
    throw new RdpullError(
      'bad-option',
      `--${keyrings.length > 0 ? 'keyring' : 'certificate'}=FILE is for checking signatures, and verify=${formatVerifyMode(verify)} asks for none`,
      'leave it out, or ask for a signature with --verify=signature',
    );
  }
  for (const file of keyrings) if (!fs.existsSync(file)) throw keyringMissing(file);
  for (const file of certificates) if (!fs.existsSync(file)) throw certificateMissing(file);
  return { keyrings, certificates };
}
