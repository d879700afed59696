import path from 'node:path';
import { size } from '../console/quantity.ts';
import { shownUrl } from '../console/shown-url.ts';
import { warnOfClock } from './clock.ts';
import type { Command } from './command.ts';
import type { VerifiedJson } from './json-results.ts';
import { isUrl, requireUrl, VERIFY_WORDS, verifyMode } from './pull-arguments.ts';
import { withIdentity } from './pull-url.ts';
import { requireServers, SERVER_OPTIONS, serverAccess } from './server-access.ts';
import { TRUST_OPTIONS, trusted } from './trust-arguments.ts';
import { vouched } from './vouched.ts';

export const verify: Command = {
  name: 'verify',
  operand: 'FILE|URL',
  summary: 'check a file here or on a server, and explain what vouches for it',
  description: `Checks FILE or URL as rdpull pull would check it, by FILE.sha256 or SHA256SUMS beside it and by the signature
of that, and says each step: what was found, which line, which key, and what is accepted or refused. Nothing is kept.`,
  options: [
    {
      name: 'verify',
      value: 'MODE',
      completes: VERIFY_WORDS.filter((word) => word !== 'no'),
      help: 'what has to vouch for it: signature (default), checksum, or sha256:HEX',
    },
    ...TRUST_OPTIONS,
    ...SERVER_OPTIONS,
  ],
  async run(line, { reporter, signal }) {
    warnOfClock(reporter);
    const mode = verifyMode(line) ?? { kind: 'signature' };
    const trust = trusted(line, mode);
    const url = operandUrl(line.operand);
    requireServers(line, [url]);
    const { ca, proxy, identity } = await serverAccess(line, [url]);
    const location = await withIdentity(url, identity, reporter.warn);
    const { checkFile } = await import('../transfer/promise.ts');
    const { promised, sha256, bytes } = await checkFile(
      location.url,
      { verify: mode, ...trust },
      { ...location, ca, proxy, signal },
      reporter.info,
    );
    const shown = isUrl(line.operand) ? shownUrl(location.url) : path.resolve(line.operand);
    const json: VerifiedJson = { file: shown, bytes, sha256, promised };
    reporter.result([`${shown}: ${size(bytes)}, ${vouched(promised)}`], json);
  },
};

/** @throws RdpullError bad-url */
function operandUrl(operand: string): string {
  if (!isUrl(operand)) return Bun.pathToFileURL(path.resolve(operand)).href;
  requireUrl(operand);
  return operand;
}
