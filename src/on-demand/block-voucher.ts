import path from 'node:path';
import { quoted } from '../console/printable.ts';
import { insistsOnSignature } from '../generator/image-policy.ts';
import { ROOT_DISK } from '../generator/root-device.ts';
import { parseBoolean } from '../request/boolean.ts';
import { stripImageSuffixes } from '../request/image-name.ts';
import { sameKey, splitWords } from '../request/kernel-command-line.ts';
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
  /** The final name of the image. */
  readonly target: string;
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
 * - in an initrd, of the image called `rootdisk` alone: `roothash=` or `usrhash=` on the kernel command line. systemd opens that very
 *   device. They say nothing of another image that is pulled in the same initrd, and which that is nobody could tell by its partitions:
 *   who sends it chooses their UUIDs. On a running host they are about its own root.
 * - in an initrd, of the same image, `systemd.image_policy=` that allows nothing but what is signed, with `dm_verity.require_signatures=1` (without
 *   that, systemd falls back to any signer: SECURITY.md), and `root=dissect`, which is what obeys a policy,
 *   and takes the loop device with that name for the root.
 * - by hand, outside of an initrd: a checksum file of the kind that was asked for lists the root hash, and whoever mounts the image
 *   uses that (systemd-dissect(1) does).
 */
export function blockVoucher(question: VoucherQuestion): BlockVoucher {
  const { verify, demand, url, target, inInitrd, isMountedPlainly } = question;
  if (verify.kind === 'no') return { kind: 'not-asked' };
  const isSystemdsRoot = inInitrd && !isMountedPlainly && path.basename(target) === `${ROOT_DISK}.raw`;
  const insisting = isSystemdsRoot ? insistenceOf(question.commandLine) : undefined;
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
      ? `make an image with dm-verity, give it the local name ${ROOT_DISK} if it is the root, and let the command line insist on it: roothash=, or systemd.image_policy=root=signed with root=dissect and dm_verity.require_signatures=1`
      : `make an image with dm-verity, and list ${rootHash} in the checksum file`,
  };
}

/**
 * What `root=` may say so that systemd obeys the policy for images: not `gpt-auto`, which mounts the partition as it is, whatever a
 * policy or a root hash says, and not nothing, which may come to mean the same (systemd-gpt-auto-generator(8)).
 */
const OBEYING_POLICY = ['dissect', 'dissect-force'];

/** What `root=` may say so that systemd mounts what `roothash=` is about. */
const OPENED_BY_HASH = ['', '/dev/mapper/root'];

/** The word of a kernel command line that lets nothing be mounted but with dm-verity; undefined where there is none. */
function insistenceOf(commandLine: string): string | undefined {
  const words = splitWords(commandLine).map((word) => /^([^=]*)=(.*)$/s.exec(word) ?? []);
  const said = (name: string) => words.findLast(([, key = '']) => sameKey(key, name))?.[2] ?? '';
  const root = said('root');
  const usr = said('mount.usr');
  const isUsrVerified = ['', '/dev/mapper/usr'].includes(usr);
  const isOff = ['systemd.verity', 'rd.systemd.verity'].some((name) => parseBoolean(said(name)) === false);
  if (said('roothash') !== '' && isUsrVerified && !isOff && OPENED_BY_HASH.includes(root)) return 'roothash=';
  if (!isOff && said('usrhash') !== '' && isUsrVerified && root === 'tmpfs') return 'usrhash=';
  const policy = said('systemd.image_policy');
  const mustBeSigned = /^[1yY]/.test(said('dm_verity.require_signatures'));
  return OBEYING_POLICY.includes(root) && usr === '' && mustBeSigned && insistsOnSignature(policy)
    ? `systemd.image_policy=${policy}`
    : undefined;
}
