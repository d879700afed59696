import fs from 'node:fs';
import path from 'node:path';
import type { RegistryImage, RegistryLayer, RegistrySession } from '../../../src/registry/registry-image.ts';
import { type Digest, formatDigest, parseDigest } from '../../../src/request/content-digest.ts';
import type { LayoutLayer } from '../../fixtures/oci-layout.ts';
import { sha256Of } from '../../fixtures/oci-layout.ts';

function digestOf(bytes: Uint8Array): Digest {
  const digest = parseDigest(sha256Of(bytes));
  if (digest === undefined) throw new Error('no digest');
  return digest;
}

/** What is said of an image, and what is served of it: a test may change either. */
export interface ServedImage {
  readonly image: RegistryImage;
  /** By digest. */
  readonly blobs: Map<string, Uint8Array>;
}

export function serveLayers(layers: readonly LayoutLayer[]): ServedImage {
  const blobs = new Map<string, Uint8Array>();
  const described = layers.map(({ archive, blob = archive, compression }): RegistryLayer => {
    const digest = digestOf(blob);
    blobs.set(formatDigest(digest), blob);
    return { digest, size: blob.length, compression: compression ?? 'none', diffId: digestOf(archive) };
  });
  const manifestDigest = digestOf(Buffer.from(JSON.stringify(described)));
  return {
    image: { name: 'registry.example.com/os:1', platform: 'linux/amd64', manifestDigest, layers: described },
    blobs,
  };
}

export interface WatchedSession extends RegistrySession {
  /** The digests that were asked for, in order. */
  readonly opened: readonly string[];
  /** How many were on their way at once, at most. */
  readonly most: number;
}

/**
 * A conversation with a registry that has this one image, without a network.
 *
 * @param pace waits before each piece of a blob
 */
export function sessionFor(
  { image, blobs }: ServedImage,
  signal: AbortSignal,
  pace: (digest: string, at: number) => Promise<void> | undefined = () => undefined,
): WatchedSession {
  const opened: string[] = [];
  let open = 0;
  let most = 0;
  return {
    opened,
    get most() {
      return most;
    },
    readImage: async () => image,
    async openLayer({ digest }) {
      const name = formatDigest(digest);
      const bytes = blobs.get(name);
      if (bytes === undefined) throw new Error(`nobody has ${name}`);
      opened.push(name);
      open++;
      most = Math.max(most, open);
      async function* body(all: Uint8Array): AsyncGenerator<Uint8Array> {
        const piece = new Uint8Array(10_000);
        for (let at = 0; at < all.length; at += piece.length) {
          await pace(name, at);
          signal.throwIfAborted();
          const part = all.subarray(at, at + piece.length);
          piece.set(part);
          yield piece.subarray(0, part.length);
          piece.fill(0xee); // it is only good until the next one
        }
        open--;
      }
      return {
        url: `https://registry.example.com/${name}`,
        size: bytes.length,
        lastModified: undefined,
        validator: undefined,
        entityTag: undefined,
        opaqueTag: undefined,
        codings: [],
        acceptsRanges: true,
        range: undefined,
        body: body(bytes),
        close: () => undefined,
      };
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** Names in the directory of a target, which only the image is to be in. */
export function namesIn(directory: string): string[] {
  return fs.readdirSync(directory).sort();
}

export function targetIn(directory: string): string {
  return path.join(directory, 'root');
}
