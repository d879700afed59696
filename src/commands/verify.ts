import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { size } from '../console/quantity.ts';
import type { Command } from './command.ts';
import { verifyMode } from './pull-arguments.ts';
import { vouched } from './vouched.ts';

export const verify: Command = {
  name: 'verify',
  operand: 'FILE',
  summary: 'check a file that is already here against the checksum file beside it',
  description: `Checks FILE as rdpull pull would check it on a server: by FILE.sha256 or SHA256SUMS in the same directory, and
by the signature of that.`,
  options: [
    { name: 'verify', value: 'MODE', help: 'signature (default), checksum, or sha256:HEX' },
    {
      name: 'keyring',
      value: 'FILE',
      repeatable: true,
      help: 'trust the OpenPGP keys in FILE, and not the system keyring',
    },
  ],
  async run(line, { reporter, signal }) {
    const file = path.resolve(line.operand);
    const mode = verifyMode(line) ?? { kind: 'signature' };
    const { checkFile } = await import('../transfer/promise.ts');
    const { promised, sha256, bytes } = await checkFile(
      pathToFileURL(file).href,
      { verify: mode, keyrings: line.values('keyring') },
      { ca: [], login: undefined, signal },
    );
    reporter.result([`${file}: ${size(bytes)}, ${vouched(promised)}`], { file, bytes, sha256, promised });
  },
};
