import path from 'node:path';
import type { RegistryImage, RegistrySession } from '../../registry/registry-image.ts';
import { formatDigest } from '../../request/content-digest.ts';
import { createCollector } from '../../source/collector.ts';
import { ComingBlob, type TakeBytes } from './coming-blob.ts';

/** Layers that come at the same time: as many as Docker and containerd fetch. */
const SIDE_BY_SIDE = 3;
/** The share of the free room that layers may take while they wait. */
const WAITING_SHARE = 0.25;

export interface LayerDownloadsOptions {
  readonly session: RegistrySession;
  /** A directory for those that wait. */
  readonly directory: string;
  /** Bytes for which there is room. */
  readonly available: () => number;
  /** Bytes as served that have come so far. */
  readonly progress: (received: number) => void;
  /** Ends all of them. */
  readonly controller: AbortController;
}

/** The layers of an image on their way, several at a time, each blob once. */
export interface LayerDownloads extends AsyncDisposable {
  /** Bytes that come in all. */
  readonly size: number;
  /** Bytes that have come. */
  readonly received: number;
  /**
   * Hands on the bytes of the layer with this index; to be called for one after the other, from the bottom up.
   *
   * @throws RdpullError
   */
  read(index: number, take: TakeBytes): Promise<void>;
}

/**
 * Layers come in the order in which they are applied. The one whose turn it is goes to the worker as it comes; those
 * behind it are begun when they fit, as served, into a share of the room that is left, and are then stored to their end.
 * (A layer takes no less when it is applied: what waits takes no room, mostly, that the image will not take in the end.)
 */
export function startLayers(
  { layers, name }: RegistryImage,
  { session, directory, available, progress, controller }: LayerDownloadsOptions,
): LayerDownloads {
  const collector = createCollector({ givesBack: true });
  let received = 0;
  const blobs = new Map<string, ComingBlob>();
  const uses = new Map<string, number>();
  for (const layer of layers) {
    const digest = formatDigest(layer.digest);
    uses.set(digest, (uses.get(digest) ?? 0) + 1);
  }
  const inOrder = layers.map((layer, index) => {
    const digest = formatDigest(layer.digest);
    const known = blobs.get(digest);
    if (known !== undefined) return known;
    const blob = new ComingBlob({
      layer,
      name: `layer ${index + 1} of ${layers.length} of ${name}`,
      uses: uses.get(digest) ?? 1,
      path: path.join(directory, `layer-${index + 1}`),
      session,
      signal: controller.signal,
      received(bytes) {
        received += bytes;
        collector.received(bytes);
        progress(received);
      },
    });
    blobs.set(digest, blob);
    return blob;
  });
  const running = new Set<Promise<void>>();

  function start(blob: ComingBlob): void {
    const coming = blob.start().then(
      () => {
        running.delete(coming);
        startMore();
      },
      // Whoever reads it hears of it; nobody is to wait for the others then.
      (error: unknown) => controller.abort(error),
    );
    running.add(coming);
  }

  /** Begins with those that come next, as long as they fit. */
  function startMore(): void {
    if (controller.signal.aborted) return;
    for (const blob of blobs.values()) {
      if (blob.isStarted) continue;
      if (running.size >= SIDE_BY_SIDE || !fits(blob)) return;
      start(blob);
    }
  }

  function fits(blob: ComingBlob): boolean {
    const waiting = [...blobs.values()].filter((other) => other.isStarted && !other.isUsedUp);
    const bytes = waiting.reduce((sum, { size }) => sum + size, blob.size);
    return bytes <= available() * WAITING_SHARE;
  }

  return {
    size: [...blobs.values()].reduce((sum, { size }) => sum + size, 0),
    get received() {
      return received;
    },
    async read(index, take) {
      const blob = inOrder[index];
      if (blob === undefined) throw new RangeError(`the image has no layer ${index}`);
      if (!blob.isStarted) start(blob);
      const read = blob.read(take);
      startMore();
      await read;
    },
    async [Symbol.asyncDispose]() {
      controller.abort();
      // What is being written to them has to be through.
      await Promise.all(running);
      for (const blob of blobs.values()) blob[Symbol.dispose]();
    },
  };
}
