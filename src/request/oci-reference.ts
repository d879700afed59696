import { type Digest, formatDigest, parseDigest } from './content-digest.ts';

/** The name of a container image in a registry, as it was written: what is not said is undefined. */
export interface OciReference {
  /** Said by `http://` or `https://` before it. */
  readonly protocol: 'http' | 'https' | undefined;
  /** Host and port. */
  readonly registry: string | undefined;
  /** The name in the registry, which may have slashes: `os/fedora-bootc`. */
  readonly image: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/** Why a text is no reference: `what` ends a sentence that starts with it, `hint` says what to try. */
export interface ReferenceDefect {
  readonly what: string;
  readonly hint: string;
}

const GRAMMAR =
  'write REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:HEX, for example quay.example.com/os/image:42';

/** A host by name or address, and a port; systemd has no addresses of IPv6 here, and cannot tell their colons. */
const REGISTRY = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?::[0-9]{1,5})?$/;

/** systemd's generalization of the rule of the OCI distribution specification (oci_image_is_valid()). */
const IMAGE = /^[a-z0-9_+-][a-z0-9._+-]*(?:\/[a-z0-9_+-][a-z0-9._+-]*)*$/;

/** OCI distribution specification 1.1, "Pulling manifests". */
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** What other tools write before a reference, and nobody needs here. */
const TRANSPORT = /^(?:docker|oci|containers-storage|ostree-[a-z-]+):\/*/;

/** Longer ones no registry takes, in characters. */
const LONGEST = 1024;

/**
 * Reads `[http://|https://][REGISTRY/]NAME[:TAG][@DIGEST]`. As for systemd, everything before the first slash is the registry,
 * whether or not there is a dot in it.
 */
export function parseReference(text: string): OciReference | ReferenceDefect {
  if (text === '') return { what: 'is empty', hint: GRAMMAR };
  if (text.length > LONGEST) return { what: `is longer than ${LONGEST} characters`, hint: GRAMMAR };
  if (text.includes('{')) {
    return { what: 'holds a placeholder, and those are for URLs', hint: 'write the name of the image out' };
  }
  const [transport] = TRANSPORT.exec(text) ?? [];
  if (transport !== undefined) {
    return { what: `begins with "${transport}", which is for other tools`, hint: 'leave that out' };
  }
  const [, scheme, rest = ''] = /^(?:(https?):\/\/)?(.*)$/s.exec(text) ?? [];
  const at = rest.lastIndexOf('@');
  const digest = at < 0 ? undefined : parseDigest(rest.slice(at + 1));
  if (at >= 0 && digest === undefined) {
    return {
      what: 'has an "@" that is not followed by a digest',
      hint: 'write sha256: and 64 hexadecimal digits in lower case behind it; a login is given with --login=FILE',
    };
  }
  const named = splitName(at < 0 ? rest : rest.slice(0, at));
  if ('what' in named) return named;
  return { ...named, digest, protocol: scheme === 'http' || scheme === 'https' ? scheme : undefined };
}

/** The inverse of {@link parseReference}. */
export function formatReference({ protocol, registry, image, tag, digest }: OciReference): string {
  return [
    protocol === undefined ? '' : `${protocol}://`,
    registry === undefined ? '' : `${registry}/`,
    image,
    tag === undefined ? '' : `:${tag}`,
    digest === undefined ? '' : `@${formatDigest(digest)}`,
  ].join('');
}

/** The local name that a reference yields, which systemd takes, too: the last part of the name of the image. */
export function nameOfImage({ image }: OciReference): string {
  return image.slice(image.lastIndexOf('/') + 1);
}

/** A colon before the last slash belongs to the port of the registry. */
function splitName(text: string): Pick<OciReference, 'registry' | 'image' | 'tag'> | ReferenceDefect {
  const slash = text.indexOf('/');
  const registry = slash < 0 ? undefined : text.slice(0, slash);
  if (registry !== undefined && !isRegistry(registry)) {
    return { what: 'does not begin with the host of a registry, and its port', hint: GRAMMAR };
  }
  const [image = '', ...tags] = text.slice(slash + 1).split(':');
  if (!IMAGE.test(image)) {
    return {
      what: 'has a name that no registry takes',
      hint: /[A-Z]/.test(image) ? 'write the name of the image in lower case' : GRAMMAR,
    };
  }
  const [tag, ...others] = tags;
  if (others.length > 0 || (tag !== undefined && !TAG.test(tag))) {
    return {
      what: 'has a tag that no registry takes',
      hint: 'a tag has letters, digits, "_", "." and "-", at most 128 of them; a digest stands behind "@"',
    };
  }
  return { registry, image, tag };
}

function isRegistry(text: string): boolean {
  const port = /:([0-9]+)$/.exec(text.replace(/^\[.*\]/, ''))?.[1];
  return REGISTRY.test(text) && (port === undefined || (Number(port) > 0 && Number(port) < 65_536));
}
