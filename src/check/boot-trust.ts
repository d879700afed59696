import { RdpullError } from '../console/rdpull-error.ts';
import type { Boot } from './booted-system.ts';
import type { BootCheck } from './check-request.ts';
import type { Finding, Findings } from './finding.ts';
import { authoritiesBelow } from './uki-content.ts';

const BUNDLE_HINT =
  'https needs certificates to check the server against: put the ca-certificates bundle into the initrd';

/** Whom the boot trusts. */
export interface Trust {
  readonly keyrings: readonly string[];
  readonly certificates: readonly string[];
  /** Stands for `/` of the initrd. */
  readonly root: string | undefined;
  readonly ca: readonly string[];
}

/** What the initrd of a UKI trusts; without one, what this machine does. What was named on the command line goes before. */
export function trustOf(
  { keyrings, certificates, access }: BootCheck,
  { uki }: Boot,
  scratch: string | undefined,
  findings: Findings,
): Trust {
  const own = hostTrust({ keyrings, certificates, access });
  if (uki?.initrd === undefined || scratch === undefined) {
    if (uki !== undefined) {
      findings.warn('initrd', 'what follows is checked with the keys and certificates of this machine');
    }
    return own;
  }
  uki.initrd.unpackTrust(scratch);
  for (const [option, files] of Object.entries({
    keyring: keyrings,
    certificate: certificates,
    ca: access.ca,
  })) {
    if (files.length === 0) continue;
    findings.warn(
      'initrd',
      `--${option}= takes the place of what the initrd holds, and at boot it would not`,
      `leave out --${option}=, to check with what the boot uses`,
    );
  }
  return { ...own, ca: own.ca.length > 0 ? own.ca : [authoritiesBelow(scratch)], root: scratch };
}

/** What this machine trusts, or what was named on the command line. */
export function hostTrust({
  keyrings,
  certificates,
  access,
}: Pick<BootCheck, 'keyrings' | 'certificates' | 'access'>): Trust {
  return { keyrings, certificates, ca: access.ca, root: undefined };
}

/** Whatever was said of files below the scratch directory is meant of files of the initrd. */
export function withoutRoot(finding: Finding, root: string | undefined): Finding {
  if (root === undefined) return finding;
  const plain = (text: string) => text.replaceAll(root, '');
  const { text, error } = finding;
  const isBundle = error?.code === 'ca-unusable' && text.includes(root);
  const hint = isBundle ? BUNDLE_HINT : finding.hint && plain(finding.hint);
  return {
    ...finding,
    text: plain(text),
    hint,
    error: error && new RdpullError(error.code, plain(error.message), hint ?? '', { cause: error }),
  };
}
