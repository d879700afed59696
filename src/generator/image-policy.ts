/** What a partition may be without anybody having vouched for what it holds: there is nothing of it to be read. */
const HARMLESS = /^(?:absent|unused|read-only-on|read-only-off|growfs-on|growfs-off)$/;

/** The partitions that systemd can check by a signed root hash. */
const SIGNABLE = /^(?:root|usr)$/;

/**
 * Whether a policy for disk images, `root=signed:usr=signed+absent` (systemd.image-policy(7)), lets nothing of an image be used but
 * what dm-verity checks against a root hash that is signed. What it does not name is not used; what it says in a way that is not
 * known here does not count.
 */
export function insistsOnSignature(policy: string): boolean {
  let isAnySigned = false;
  for (const rule of policy.split(':')) {
    const [, designator, flags] = /^([a-z-]*)=([a-z+-]+)$/.exec(rule) ?? [];
    if (designator === undefined || flags === undefined) return false;
    const uses = flags.split('+').filter((flag) => !HARMLESS.test(flag));
    if (uses.length === 0) continue;
    if (!SIGNABLE.test(designator) || uses.some((flag) => flag !== 'signed')) return false;
    isAnySigned = true;
  }
  return isAnySigned;
}
