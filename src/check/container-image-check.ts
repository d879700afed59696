import { size as shownSize } from '../console/quantity.ts';
import { machinePlatform, thisPlatform } from '../registry/platform.ts';
import { promisedDigest } from '../registry/promised-digest.ts';
import type { RegistryImage } from '../registry/registry-image.ts';
import { openRegistry } from '../registry/registry-session.ts';
import { resolveReference } from '../registry/resolve-reference.ts';
import { formatDigest } from '../request/content-digest.ts';
import type { OciReference } from '../request/oci-reference.ts';
import type { VerifyMode } from '../request/verify-mode.ts';
import type { Location, SourceOptions } from '../source/source.ts';
import type { ExpectedSize } from '../transfer/expected-size.ts';
import { expectedOf } from '../transfer/layers/expected-tree.ts';
import { type Findings, found } from './finding.ts';

/** A container image that a boot asks for, and what is known of the machine. */
export interface ContainerImageQuestion {
  readonly reference: OciReference;
  readonly verify: VerifyMode;
  /** The tree of the initrd, whose files have rules for registries; undefined: this machine's. */
  readonly root: string | undefined;
  /** Of the machine that boots; undefined: this one. */
  readonly architecture: NodeJS.Architecture | undefined;
  /** What the registry is shown. */
  readonly identify: (url: string) => Promise<Location>;
}

export interface OfferedContainerImage {
  readonly image: RegistryImage;
  /** Bytes as served, each blob once. */
  readonly served: number;
  readonly expected: ExpectedSize;
  /** Hexadecimal; undefined where nothing vouches for it. */
  readonly promised: string | undefined;
}

/** Asks the registry what would be pulled, and for no layer; undefined when that fails. */
export async function checkContainerImage(
  { reference: asked, verify, root, architecture, identify }: ContainerImageQuestion,
  access: SourceOptions,
  findings: Findings,
): Promise<OfferedContainerImage | undefined> {
  const named = await found(findings, 'url', access.signal, async () => {
    const reference = resolveReference(asked, root);
    return { reference, promised: promisedDigest(asked, verify) };
  });
  if (named === undefined) return undefined;
  const { reference, promised } = named;
  findings.ok('url', reference.name);
  if (promised === undefined) {
    findings.warn(
      'checksum',
      'verify=no: nothing vouches for the image but the registry, where a tag can be moved',
      'name the digest in place of the tag, and leave out verify=no',
    );
  } else findings.ok('checksum', `the image must have the digest ${formatDigest(promised)}`);
  const machine = architecture === undefined ? thisPlatform() : machinePlatform(architecture);
  const image = await found(findings, 'server', access.signal, async () => {
    const registry = await identify(reference.origin);
    using session = openRegistry(
      { reference, promised, machine, registry },
      { ...access, ...registry, login: undefined },
    );
    return await session.readImage();
  });
  if (image === undefined) return undefined;
  const { served, ...expected } = expectedOf(image.layers);
  const many = image.layers.length === 1 ? 'one layer' : `${image.layers.length} layers`;
  findings.ok('server', `the registry has it, for ${image.platform}: ${formatDigest(image.manifestDigest)}`);
  findings.ok('image', `${many} of ${shownSize(served)} in all`);
  return {
    image,
    served,
    expected: { ...expected, compression: 'none', format: undefined },
    promised: promised?.hex,
  };
}
