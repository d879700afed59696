import { size as shownSize } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';
import { shownUrl } from '../console/shown-url.ts';
import { type Digest, formatDigest, isSameDigest } from '../request/content-digest.ts';
import { HttpStatusError } from '../source/http-status.ts';
import { openSourceOnce } from '../source/open-source.ts';
import { patiently } from '../source/patience.ts';
import { Pools } from '../source/pools.ts';
import type { Location, RangeRequest, Source, SourceOptions } from '../source/source.ts';
import { createAuthorization } from './authorization.ts';
import { openBlob } from './blob.ts';
import {
  ACCEPTED_TYPES,
  type Descriptor,
  DOCUMENT_MAX,
  type Document,
  type IndexEntry,
  listPlatforms,
  parseConfiguration,
  parseDocument,
} from './manifest.ts';
import { fitness, formatPlatform, type MachinePlatform, type Platform } from './platform.ts';
import { type Asked, registryRefusal } from './refusal.ts';
import type { RegistryImage, RegistryLayer, RegistrySession } from './registry-image.ts';
import type { ResolvedReference } from './resolve-reference.ts';
import { readBody } from './small-body.ts';

/** What is asked of a registry. */
export interface RegistryRequest {
  readonly reference: ResolvedReference;
  /** What the manifest, or the index, has to have; undefined: nothing vouches for it. */
  readonly promised: Digest | undefined;
  /** For which the image is. */
  readonly machine: MachinePlatform;
  /** The registry, with what it is shown. */
  readonly registry: Location;
}

/** Begins to talk with a registry; nothing is asked yet. */
export function openRegistry(request: RegistryRequest, options: SourceOptions): RegistrySession {
  const { reference, registry } = request;
  const { login: given, clientCertificate, zone } = registry;
  const own = new Pools();
  const access: SourceOptions = {
    pools: own,
    ...options,
    login: undefined,
    clientCertificate,
    zone,
    keepsRefusal: true,
  };
  const authorization = createAuthorization(reference, given, access);

  /** One request, and once more with what the registry wants to be shown. */
  async function ask(
    url: string,
    asked: Asked,
    more: Pick<SourceOptions, 'accept' | 'isPromised'>,
    wanted?: RangeRequest,
  ): Promise<Source> {
    for (let isFirst = true; ; isFirst = false) {
      const { login } = authorization;
      try {
        return await openSourceOnce(url, { ...access, ...more, login }, wanted);
      } catch (error) {
        if (!(error instanceof HttpStatusError)) throw withoutTls(error, reference.origin);
        const { status, challenges, origin } = error.refusal;
        const isAsked = status === 401 && origin === reference.origin;
        if (isFirst && isAsked && (await authorization.renew(login, challenges))) continue;
        throw registryRefusal(error, url, asked, reference.repository, given !== undefined);
      }
    }
  }

  const urlOf = (kind: 'manifests' | 'blobs', what: string) =>
    `${reference.origin}/v2/${reference.image}/${kind}/${what}`;

  /** A small document, which has to have a digest. */
  function read(
    url: string,
    asked: Asked,
    expected: Digest | undefined,
    length?: number,
  ): Promise<Uint8Array> {
    return patiently(
      url,
      async () => {
        const isPromised = expected !== undefined;
        const accept = asked === 'manifest' ? { accept: ACCEPTED_TYPES } : {};
        const bytes = await readBody(await ask(url, asked, { isPromised, ...accept }), DOCUMENT_MAX);
        if (expected !== undefined) requireDigest(url, bytes, expected);
        if (length !== undefined && bytes.length !== length) throw otherLength(url, bytes.length, length);
        return bytes;
      },
      access,
    );
  }

  /** What the reference stands for, and its digest. */
  async function readTop(): Promise<{ document: Document; digest: Digest; url: string }> {
    const { promised } = request;
    const { tag } = reference;
    const byTag = tag !== undefined;
    const url = urlOf('manifests', tag ?? formatDigest(promised ?? missing()));
    const bytes = await read(url, 'manifest', byTag ? undefined : promised);
    const digest = digestOf(bytes, promised?.algorithm ?? 'sha256');
    if (promised !== undefined && !isSameDigest(digest, promised)) {
      throw tagMoved(reference, promised, digest);
    }
    return { document: parseDocument(bytes, shownUrl(url)), digest, url };
  }

  async function readManifest() {
    const { document, digest, url } = await readTop();
    if (document.kind === 'manifest') return { manifest: document, digest, platform: undefined };
    const entry = chooseEntry(document.entries, request.machine, reference.name);
    const chosen = urlOf('manifests', formatDigest(entry.digest));
    requireSmall(chosen, entry);
    const bytes = await read(chosen, 'manifest', entry.digest, entry.size);
    const manifest = parseDocument(bytes, shownUrl(chosen));
    if (manifest.kind === 'manifest') {
      return { manifest, digest: entry.digest, platform: entry.platform };
    }
    throw new RdpullError(
      'oci-malformed',
      `${shownUrl(url)} calls an index a manifest: ${formatDigest(entry.digest)}`,
      'push the image again',
    );
  }

  return {
    async readImage(): Promise<RegistryImage> {
      const { manifest, digest, platform: listed } = await readManifest();
      const { configuration: described, layers } = manifest;
      const url = urlOf('blobs', formatDigest(described.digest));
      requireSmall(url, described);
      const bytes = await read(url, 'blob', described.digest, described.size);
      const { platform, diffIds } = parseConfiguration(bytes, shownUrl(url));
      if (diffIds.length !== layers.length) {
        throw new RdpullError(
          'oci-malformed',
          `${shownUrl(url)} speaks of ${diffIds.length} layers, and the manifest of ${layers.length}`,
          'push the image again, from what has built it',
        );
      }
      const made = withVariant(platform, listed);
      requirePlatform(made, request.machine, reference.name);
      return {
        name: reference.name,
        platform: formatPlatform(made),
        manifestDigest: digest,
        layers: layers.flatMap(({ digest: layerDigest, size, compression }, place): RegistryLayer[] => {
          const diffId = diffIds[place];
          return diffId === undefined ? [] : [{ digest: layerDigest, size, compression, diffId }];
        }),
      };
    },
    openLayer(layer, from = 0) {
      const url = urlOf('blobs', formatDigest(layer.digest));
      return openBlob(url, layer, from, (wanted) => ask(url, 'blob', { isPromised: true }, wanted), access);
    },
    [Symbol.dispose]() {
      own[Symbol.dispose]();
    },
  };
}

/** A reference that was resolved has a tag, or a digest. */
function missing(): never {
  throw new Error('a reference has neither a tag nor a digest');
}

function digestOf(bytes: Uint8Array, algorithm: Digest['algorithm']): Digest {
  return { algorithm, hex: new Bun.CryptoHasher(algorithm).update(bytes).digest('hex') };
}

function requireDigest(url: string, bytes: Uint8Array, expected: Digest): void {
  const digest = digestOf(bytes, expected.algorithm);
  if (isSameDigest(digest, expected)) return;
  throw new RdpullError(
    'checksum-mismatch',
    `${shownUrl(url)}: what came has ${formatDigest(digest)}, not the digest by which it was asked for`,
    'push the image again; if the registry is not damaged, find out who is between it and this machine',
  );
}

function otherLength(url: string, length: number, expected: number): RdpullError {
  return new RdpullError(
    'checksum-mismatch',
    `${shownUrl(url)}: it has ${length} bytes, and what names it says ${expected}`,
    'push the image again, from what has built it',
  );
}

/** Refuses a document by what is said of it, before it is asked for. */
function requireSmall(url: string, { size }: Descriptor): void {
  if (size <= DOCUMENT_MAX) return;
  throw new RdpullError(
    'limit-exceeded',
    `${shownUrl(url)} has ${shownSize(size)}, ${shownSize(DOCUMENT_MAX)} is the limit for a manifest or a configuration`,
    'check what was pushed to the registry',
  );
}

function tagMoved(
  { name, repository, tag }: ResolvedReference,
  promised: Digest,
  found: Digest,
): RdpullError {
  return new RdpullError(
    'tag-moved',
    `${name}: the tag ${tag} stands for ${formatDigest(found)}, and ${formatDigest(promised)} was promised`,
    `find out who has pushed another image; to boot the one that was promised, leave out the tag: ${repository}@${formatDigest(promised)}`,
  );
}

function chooseEntry(entries: readonly IndexEntry[], machine: MachinePlatform, name: string): IndexEntry {
  const ranked = entries
    .map((entry) => ({
      entry,
      // What does not say for what it is may be for everybody (systemd takes it, too): only where nothing else is.
      rank: entry.platform === undefined ? Number.MAX_SAFE_INTEGER : fitness(entry.platform, machine),
    }))
    .flatMap(({ entry, rank }) => (rank === undefined ? [] : [{ entry, rank }]))
    .toSorted((one, other) => one.rank - other.rank);
  const [best] = ranked;
  if (best !== undefined) return best.entry;
  throw noPlatform(name, machine, listPlatforms(entries) || 'nothing that is for a machine');
}

function requirePlatform(platform: Platform, machine: MachinePlatform, name: string): void {
  if (fitness(platform, machine) !== undefined) return;
  throw noPlatform(name, machine, formatPlatform(platform));
}

function noPlatform(name: string, { architecture }: MachinePlatform, there: string): RdpullError {
  return new RdpullError(
    'registry-platform',
    `${name} is not for this machine, which is linux/${architecture}; there is: ${there}`,
    `build it for linux/${architecture}, too: podman build --platform=linux/${architecture}`,
  );
}

/** Configurations often leave out the variant that the index says. */
function withVariant(platform: Platform, listed: Platform | undefined): Platform {
  const isSame = listed?.os === platform.os && listed.architecture === platform.architecture;
  return platform.variant === '' && isSame ? { ...platform, variant: listed.variant } : platform;
}

/** A registry without TLS is asked over https unless somebody says otherwise. */
function withoutTls(error: unknown, origin: string): unknown {
  if (!(error instanceof RdpullError) || error.code !== 'tls-failed') return error;
  const plain = origin.replace(/^https:/, 'http:');
  return new RdpullError(
    error.code,
    error.message,
    `${error.hint}; a registry without TLS is written ${plain}/NAME`,
    { cause: error.cause },
  );
}
