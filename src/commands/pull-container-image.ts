import { thisPlatform } from '../registry/platform.ts';
import { promisedDigest } from '../registry/promised-digest.ts';
import type { RegistryLayer } from '../registry/registry-image.ts';
import { openRegistry } from '../registry/registry-session.ts';
import { resolveReference } from '../registry/resolve-reference.ts';
import type { OciReference } from '../request/oci-reference.ts';
import type { VerifyMode } from '../request/verify-mode.ts';
import type { Location } from '../source/source.ts';
import { runImageTransfer } from '../transfer/layers/image-transfer.ts';
import type { TransferResult } from '../transfer/transfer.ts';
import type { Pull } from './pull-under-way.ts';
import { type FindOptions, withIdentity } from './pull-url.ts';

/** A container image that was asked for, where it was found out which one that is. */
export interface ContainerImage {
  /** One: the image in its registry, for people, and for what is said of servers. */
  readonly locations: readonly Location[];
  download(pull: Pull, target: string): Promise<TransferResult>;
}

/**
 * Completes a reference by the rules of this machine, before any server is asked.
 *
 * @throws RdpullError of the usage family, tag-unverified
 */
export async function findContainerImage(
  asked: OciReference,
  verify: VerifyMode,
  { identity, warn }: FindOptions,
): Promise<ContainerImage> {
  const reference = resolveReference(asked);
  const promised = promisedDigest(asked, verify);
  const registry = await withIdentity(reference.origin, identity, warn);
  return {
    locations: [{ ...registry, url: reference.name }],
    async download({ plan, access, display }, target) {
      const { request, existing, limits, memory } = plan;
      const result = await runImageTransfer(
        {
          target,
          force: existing === 'replaced',
          overcommit: request.overcommit,
          limits,
          memory,
          openSession: (signal) =>
            openRegistry(
              { reference, promised, machine: thisPlatform(), registry },
              { ...access, login: undefined, signal },
            ),
        },
        access,
        display.observe(target),
      ).finally(display.end);
      const { image, received, decoded, entries } = result;
      return {
        ...{ target, url: image.name, received, decoded, entries, format: 'oci' as const },
        compression: largest(image.layers).compression,
        layers: image.layers.length,
        sha256: image.manifestDigest.hex,
        promised: promised && { digest: promised.hex, manifestUrl: undefined, signedBy: undefined },
      };
    },
  };
}

/** By whose packing the image goes, as layers may differ. */
function largest(layers: readonly RegistryLayer[]): RegistryLayer {
  return layers.reduce((one, other) => (other.size > one.size ? other : one));
}
