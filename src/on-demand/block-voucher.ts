import { quoted } from '../console/printable.ts';
import { insistsOnSignature } from '../generator/image-policy.ts';
import { stripImageSuffixes } from '../request/image-name.ts';
import { splitWords } from '../request/kernel-command-line.ts';
import { lastComponent } from '../request/url.ts';
import { formatVerifyMode, type VerifyMode } from '../request/verify-mode.ts';
import type { Demand } from '../transfer/promise.ts';

/** What vouches for the single blocks of an image, before the whole of it is there. */
export type BlockVoucher =
  /** Nothing has to: `verify=no`. */
  | { readonly kind: 'not-asked' }
  /** The kernel checks each block that is read, because `because`: a clause. */
  | { readonly kind: 'verity'; readonly because: string }
  /** A digest of the whole says nothing of a part. To follow the file's name, and what to do about it. */
  | { readonly kind: 'none'; readonly reason: string; readonly remedy: string };

/** What is known of an image, and of what will be done with it. */
export interface VoucherQuestion {
  readonly verify: VerifyMode;
  readonly demand: Demand;
  readonly url: string;
  /** The kernel command line. */
  readonly commandLine: string;
  /** Whether somebody mounts it as it is, without a look at what lies beside it: rdpull's own sysroot.mount does. */
  readonly isMountedPlainly: boolean;
  readonly inInitrd: boolean;
}

/**
 * Decides whether blocks of an image may be shown before the digest of the whole is known. What was asked for (`verify=`) never
 * becomes less by that: only dm-verity checks a block when it is read, and only where nobody can mount the image without it.
 *
 * - `roothash=` or `usrhash=` on the kernel command line: systemd opens that very device.
 * - `systemd.image_policy=` that allows nothing but what is signed, with `dm_verity.require_signatures=1` (without that,
 *   systemd falls back to any signer: SECURITY.md), and no `root=` that names a device past it.
 * - by hand, outside of an initrd: a checksum file of the kind that was asked for lists the root hash, and whoever mounts the image
 *   uses that (systemd-dissect(1) does).
 */
export function blockVoucher(question: VoucherQuestion): BlockVoucher {
  const { verify, demand, url, inInitrd, isMountedPlainly } = question;
  if (verify.kind === 'no') return { kind: 'not-asked' };
  const insisting = isMountedPlainly ? undefined : insistenceOf(question.commandLine);
  if (insisting !== undefined)
    return { kind: 'verity', because: `${insisting} stands on the kernel command line` };

  const rootHash = `${stripImageSuffixes(lastComponent(url) ?? '', 'raw')}.roothash`;
  const isListed = demand.digestOf(rootHash) !== undefined;
  if (isListed && !inInitrd && !isMountedPlainly) {
    return { kind: 'verity', because: `the checksum file lists ${quoted(rootHash)}` };
  }
  const mode = `verify=${formatVerifyMode(verify)}`.replace(/:.*/, '');
  return {
    kind: 'none',
    reason: `is vouched for as a whole (${mode}), and nothing vouches for a part of it`,
    remedy: inInitrd
      ? 'make an image with dm-verity, and let the command line insist on it: roothash=, or systemd.image_policy=root=signed with root=dissect and dm_verity.require_signatures=1'
      : `make an image with dm-verity, and list ${rootHash} in the checksum file`,
  };
}

/** What `root=` may say so that systemd finds the root by its partitions, and their signatures. */
const FOUND_BY_SYSTEMD = ['', 'gpt-auto', 'gpt-auto-force', 'dissect', 'dissect-force'];

/** The word of a kernel command line that lets nothing be mounted but with dm-verity; undefined where there is none. */
function insistenceOf(commandLine: string): string | undefined {
  const words = splitWords(commandLine);
  const said = (name: string) =>
    words.findLast((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const root = said('root');
  const usr = said('mount.usr');
  const isUsrVerified = ['', '/dev/mapper/usr'].includes(usr);
  const isRootFound = FOUND_BY_SYSTEMD.includes(root);
  if (said('roothash') !== '' && isUsrVerified && (isRootFound || root === '/dev/mapper/root'))
    return 'roothash=';
  if (said('usrhash') !== '' && isUsrVerified && root === 'tmpfs') return 'usrhash=';
  const policy = said('systemd.image_policy');
  const mustBeSigned = /^[1yY]/.test(said('dm_verity.require_signatures'));
  return isRootFound && usr === '' && mustBeSigned && insistsOnSignature(policy)
    ? `systemd.image_policy=${policy}`
    : undefined;
}
