import { quoted } from '../console/printable.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { type Digest, parseDigest } from '../request/content-digest.ts';
import {
  FieldError,
  type Fields,
  isFields,
  optionalString,
  parseFields,
  requiredFields,
  requiredList,
  requiredString,
} from './json-fields.ts';
import { formatPlatform, type Platform } from './platform.ts';
import type { LayerCompression } from './registry-image.ts';

/** systemd's limit (LAYER_MAX in its pull-oci.c); what people build has a hundred at most, which is what overlayfs takes. */
const LAYERS_MAX = 4096;

/** What a registry has to take (OCI distribution specification 1.1, "Pushing manifests"), in bytes: nobody makes larger ones. */
export const DOCUMENT_MAX = 4 * 1024 * 1024;

const INDEX_TYPES: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
];

const MANIFEST_TYPES: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
];

/** For `Accept`: all that is understood. */
export const ACCEPTED_TYPES = [...MANIFEST_TYPES, ...INDEX_TYPES].join(', ');

const CONFIGURATION_TYPES: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
];

const LAYER_TYPES: ReadonlyMap<string, LayerCompression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
]);

/** What names bytes, and how many (OCI image specification, descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

/** One image of several. */
export interface IndexEntry extends Descriptor {
  /** undefined where the index does not say what the image was made for. */
  readonly platform: Platform | undefined;
}

/** What a reference may stand for. */
export type Document =
  | { readonly kind: 'index'; readonly entries: readonly IndexEntry[] }
  | {
      readonly kind: 'manifest';
      readonly configuration: Descriptor;
      readonly layers: readonly (Descriptor & { readonly compression: LayerCompression })[];
    };

/** What the configuration says that is of interest. */
export interface Configuration {
  readonly platform: Platform;
  readonly diffIds: readonly Digest[];
}

/**
 * Reads a manifest or an index. Which of them it is, its own fields say, and never the server: of one that could be both, two
 * readers would see two images (CVE-2021-41190).
 *
 * @param shown the URL, for messages
 * @throws RdpullError oci-malformed, oci-unsupported, limit-exceeded
 */
export function parseDocument(bytes: Uint8Array, shown: string): Document {
  return reading(shown, 'a manifest or an index of a container image', () => {
    const fields = parseFields(bytes);
    const version = fields['schemaVersion'];
    if (version === 1) throw unsupported(shown, 'it is a manifest of Docker from before 2017 (schema 1)');
    if (version !== 2) throw new FieldError('its "schemaVersion" is not 2');
    const isIndex = fields['manifests'] !== undefined;
    const isManifest = fields['layers'] !== undefined || fields['config'] !== undefined;
    if (isIndex === isManifest) {
      throw new FieldError(isIndex ? 'it could be both' : 'it has neither "manifests" nor "layers"');
    }
    const mediaType = optionalString(fields, 'mediaType');
    const types = isIndex ? INDEX_TYPES : MANIFEST_TYPES;
    if (mediaType !== undefined && !types.includes(mediaType)) {
      throw new FieldError(`its "mediaType" is ${quoted(mediaType)}`);
    }
    return isIndex ? index(fields) : manifest(fields, shown);
  });
}

/**
 * Reads the configuration of an image.
 *
 * @throws RdpullError oci-malformed
 */
export function parseConfiguration(bytes: Uint8Array, shown: string): Configuration {
  return reading(shown, 'the configuration of a container image', () => {
    const fields = parseFields(bytes);
    const ids = requiredList(requiredFields(fields, 'rootfs'), 'diff_ids');
    return {
      platform: platform(fields),
      diffIds: ids.map((id) => digest(id, 'diff_ids')),
    };
  });
}

function index(fields: Fields): Document {
  const entries = requiredList(fields, 'manifests').flatMap((entry) => {
    if (!isFields(entry)) throw new FieldError('"manifests" holds what is no object');
    // What else is there, an index among them, is for others.
    if (!MANIFEST_TYPES.includes(requiredString(entry, 'mediaType'))) return [];
    const made = entry['platform'] ?? undefined;
    if (made !== undefined && !isFields(made)) throw new FieldError('"platform" is no object');
    return [{ ...descriptor(entry), platform: made === undefined ? undefined : platform(made) }];
  });
  return { kind: 'index', entries };
}

function manifest(fields: Fields, shown: string): Document {
  const configuration = descriptor(requiredFields(fields, 'config'));
  if (!CONFIGURATION_TYPES.includes(configuration.mediaType)) {
    throw unsupported(shown, `it is no container image, but something of ${quoted(configuration.mediaType)}`);
  }
  const listed = requiredList(fields, 'layers');
  if (listed.length === 0) throw new FieldError('it has no layers');
  if (listed.length > LAYERS_MAX) {
    throw new RdpullError(
      'limit-exceeded',
      `${shown}: the image has ${listed.length} layers, ${LAYERS_MAX} is the limit`,
      'squash it: podman build --squash-all',
    );
  }
  const layers = listed.map((layer) => {
    if (!isFields(layer)) throw new FieldError('"layers" holds what is no object');
    const described = descriptor(layer);
    const compression = LAYER_TYPES.get(described.mediaType);
    if (compression !== undefined) return { ...described, compression };
    throw unsupported(shown, `it has a layer of ${quoted(described.mediaType)}`);
  });
  return { kind: 'manifest', configuration, layers };
}

function descriptor(fields: Fields): Descriptor {
  const size = fields['size'];
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw new FieldError('a "size" is no number of bytes');
  }
  return {
    mediaType: requiredString(fields, 'mediaType'),
    digest: digest(fields['digest'], 'digest'),
    size,
  };
}

function digest(value: unknown, name: string): Digest {
  const parsed = typeof value === 'string' ? parseDigest(value) : undefined;
  if (parsed === undefined) throw new FieldError(`a "${name}" is no SHA-256 or SHA-512`);
  return parsed;
}

function platform(fields: Fields): Platform {
  return {
    os: requiredString(fields, 'os'),
    architecture: requiredString(fields, 'architecture'),
    variant: optionalString(fields, 'variant') ?? '',
  };
}

function reading<T>(shown: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    throw malformed(shown, what, error.message);
  }
}

function malformed(shown: string, what: string, why: string): RdpullError {
  return new RdpullError(
    'oci-malformed',
    `${shown} is not ${what}: ${why}`,
    'check that a registry answers there, and that the image was pushed whole: skopeo inspect --raw shows what it has',
  );
}

function unsupported(shown: string, why: string): RdpullError {
  return new RdpullError(
    'oci-unsupported',
    `${shown} cannot be pulled: ${why}`,
    'push the image in a format of today: skopeo copy --format=oci',
  );
}

/** `linux/amd64, linux/arm64/v8`: what an index has, for messages. What is not for any machine (attestations) is left out. */
export function listPlatforms(entries: readonly IndexEntry[]): string {
  const names = new Set(
    entries.flatMap(({ platform: made }) =>
      made === undefined || made.os === 'unknown' ? [] : [formatPlatform(made)],
    ),
  );
  const [...shown] = names;
  const rest = shown.length - LISTED;
  const listed = shown.slice(0, LISTED).join(', ');
  return rest > 0 ? `${listed} and ${rest} more` : listed;
}

/** More nobody reads. */
const LISTED = 24;
