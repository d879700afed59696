import { RdpullError } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import { type Digest, formatDigest, isSameDigest } from '../request/content-digest.ts';
import { formatReference, type OciReference } from '../request/oci-reference.ts';
import { formatVerifyMode, type VerifyMode } from '../request/verify-mode.ts';

/**
 * What vouches for an image: the digest in its reference, or that of `verify=sha256:`. A tag vouches for nothing, because who can
 * write to the registry can move it; src/verify/README.md says more.
 *
 * @returns undefined when nothing has to
 * @throws RdpullError tag-unverified, bad-option
 */
export function promisedDigest(reference: OciReference, verify: VerifyMode): Digest | undefined {
  const { digest } = reference;
  const said: Digest | undefined =
    verify.kind === 'sha256' ? { algorithm: 'sha256', hex: verify.digest } : undefined;
  if (digest !== undefined && said !== undefined && !isSameDigest(digest, said)) {
    throw new RdpullError(
      'bad-option',
      `verify=${formatVerifyMode(verify)} contradicts the reference, which says ${formatDigest(digest)}`,
      'leave out one of them',
    );
  }
  const promised = digest ?? said;
  if (promised !== undefined || verify.kind === 'no') return promised;
  const text = formatReference(reference);
  throw new RdpullError(
    'tag-unverified',
    `${text} names no digest, and nothing else can vouch for a container image (verify=${formatVerifyMode(verify)}): ` +
      'a tag may stand for another image tomorrow',
    `name the digest, with what this prints: ${pinningCommand(reference)}; or do without: verify=no`,
  );
}

/** Prints the reference with the digest that its tag has now. */
function pinningCommand({ protocol, ...reference }: OciReference): string {
  const plain = protocol === 'http' ? ' --tls-verify=false' : '';
  const named = shellWord(`docker://${formatReference({ ...reference, protocol: undefined })}`);
  return `skopeo inspect${plain} --format '{{.Name}}@{{.Digest}}' ${named}`;
}
