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

export function trusted(line: CommandLine): Trust {
  return { keyrings: line.values('keyring'), certificates: line.values('certificate') };
}
