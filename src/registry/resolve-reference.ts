import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import type { Digest } from '../request/content-digest.ts';
import { formatReference, type OciReference, parseReference } from '../request/oci-reference.ts';
import { findRegistryRules, type RegistryRules } from './registry-configuration.ts';

/** systemd's, and everybody's. */
const DEFAULT_TAG = 'latest';

/** A reference of which all is known. */
export interface ResolvedReference {
  /** Scheme, host and port of the registry. */
  readonly origin: string;
  /** The name in the registry. */
  readonly image: string;
  /** undefined where a digest says all that has to be known. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
  /** For people: the reference that means the same without any rules. */
  readonly name: string;
  /** The same without tag and digest. */
  readonly repository: string;
}

/**
 * Completes a reference as systemd does, by the rules that its files have for registries. The protocol is https, but for this
 * machine itself, and where the reference or a rule says http.
 *
 * @param root where the files of systemd lie
 * @throws RdpullError bad-reference, file-unreadable
 */
export function resolveReference(reference: OciReference, root = ''): ResolvedReference {
  const rules = findRegistryRules(reference, root);
  const registry = rules?.overrideRegistry ?? reference.registry ?? rules?.defaultRegistry;
  if (registry === undefined) {
    throw new RdpullError(
      'bad-reference',
      `${quoted(formatReference(reference))} names no registry, and no file of systemd/oci-registry names one`,
      'write REGISTRY/NAME:TAG, as in quay.example.com/os/image:42',
    );
  }
  const prefix = reference.image.includes('/') ? '' : (rules?.shortImagePrefix ?? '');
  const image = rules?.overrideImage ?? prefix + reference.image;
  const { digest } = reference;
  const tag = reference.tag ?? (digest === undefined ? (rules?.defaultTag ?? DEFAULT_TAG) : undefined);
  const resolved = { protocol: undefined, registry, image, tag, digest };
  requireValid(resolved, rules);
  const protocol = reference.protocol ?? protocolOf(rules) ?? (isThisMachine(registry) ? 'http' : 'https');
  const isUsual = protocol === (isThisMachine(registry) ? 'http' : 'https');
  const shown = { ...resolved, protocol: isUsual ? undefined : protocol };
  return {
    origin: new URL(`${protocol}://${registry}`).origin,
    image,
    tag,
    digest,
    name: formatReference(shown),
    repository: formatReference({ ...shown, tag: undefined, digest: undefined }),
  };
}

/** What rules make of a reference has to be one again. */
function requireValid(resolved: OciReference, rules: RegistryRules | undefined): void {
  const text = formatReference(resolved);
  const parsed = parseReference(text);
  const isUrl = URL.canParse(`https://${resolved.registry}`);
  if (!('what' in parsed) && isUrl && parsed.registry === resolved.registry) return;
  throw new RdpullError(
    'bad-reference',
    `${quoted(text)} ${'what' in parsed ? parsed.what : 'names no host that a registry could have'}`,
    rules === undefined ? 'write REGISTRY/NAME:TAG' : `correct ${rules.file}`,
  );
}

function protocolOf(rules: RegistryRules | undefined): 'http' | 'https' | undefined {
  const said = rules?.defaultProtocol;
  if (said === undefined || said === 'http' || said === 'https') return said;
  throw new RdpullError(
    'bad-reference',
    `${rules?.file} says defaultProtocol ${quoted(said)}, and a registry is asked by https or http`,
    'correct it',
  );
}

/** Loopback: nobody is on the way. */
function isThisMachine(registry: string): boolean {
  if (!URL.canParse(`http://${registry}`)) return false;
  const { hostname } = new URL(`http://${registry}`);
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}
