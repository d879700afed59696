import path from 'node:path';
import { RdpullError } from '../../console/rdpull-error.ts';
import type { RegistryImage, RegistryLayer, RegistrySession } from '../../registry/registry-image.ts';
import { formatDigest, isSameDigest } from '../../request/content-digest.ts';
import { type Limits, requireDownload, requireSize } from '../limits.ts';
import type { PipelineResult } from '../pipeline/messages.ts';
import { Pipeline } from '../pipeline/pipeline.ts';
import { TargetRoom } from '../room/target-room.ts';
import { Staging } from '../staging.ts';
import type { TransferObserver } from '../transfer.ts';
import { makeTreeRoot } from '../tree-root.ts';
import { expectedOf } from './expected-tree.ts';
import { type LayerDownloads, startLayers } from './layer-downloads.ts';

/** A container image to be fetched, which becomes a directory tree. */
export interface ImageTransfer {
  /** Begins the conversation with its registry, whose requests end with the signal. */
  readonly openSession: (signal: AbortSignal) => RegistrySession;
  /** The final name of the tree. */
  readonly target: string;
  /** Replace an existing object. */
  readonly force: boolean;
  /** Begin even when the image seems to be too large for the target's file system. */
  readonly overcommit: boolean;
  readonly limits: Limits;
  /** Bytes that may be resident, more or less. */
  readonly memory: number;
}

export interface ImageTransferResult {
  readonly target: string;
  readonly image: RegistryImage;
  /** Bytes as served: of a blob that several layers have, once. */
  readonly received: number;
  /** Bytes of all tar archives. */
  readonly decoded: number;
  /** Members of all of them. */
  readonly entries: number;
}

/**
 * Fetches, checks and publishes a container image: its layers come side by side, each is hashed as it is served and as
 * the tar archive that comes out of it, and applied in its turn to a tree that nobody can see. The tree gets its final name
 * only when all of it holds. A failure leaves nothing behind.
 *
 * @throws RdpullError
 */
export async function runImageTransfer(
  transfer: ImageTransfer,
  { signal }: { readonly signal: AbortSignal },
  observer: TransferObserver,
): Promise<ImageTransferResult> {
  const { target, force } = transfer;
  // Disposed of in the reverse order: what was made is gone before its room is given back.
  using room = new TargetRoom(path.dirname(target), true);
  using staging = await Staging.open(target, { replace: force, tell: observer.warn });
  await using pipeline = new Pipeline(observer.warn);
  // One failure ends everything that goes on beside it.
  const controller = new AbortController();
  const ended = AbortSignal.any([signal, controller.signal]);
  const cancel = () => pipeline.cancel();
  ended.addEventListener('abort', cancel);
  using session = transfer.openSession(ended);
  try {
    const image = await session.readImage();
    await requireRoom(image, room, transfer);
    await using downloads = startLayers(image, {
      session,
      directory: staging.directory,
      available: () => room.available(),
      progress: (received) => observer.progress({ received, decoded: pipeline.decodedBytes }),
      controller,
    });
    observer.started({ url: image.name, size: downloads.size, expected: undefined });
    makeTreeRoot(staging.path);
    const applying = applyLayers(image, downloads, pipeline, staging.path, transfer);
    const { bytes, members } = await applying.catch((error: unknown) => {
      controller.abort(error);
      // What has failed first: the rest was ended by that.
      throw controller.signal.reason;
    });
    signal.throwIfAborted();
    staging.publish();
    room.settle({ bytes, entries: members });
    return { target, image, received: downloads.received, decoded: bytes, entries: members };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    ended.removeEventListener('abort', cancel);
  }
}

/**
 * Judges by the manifest whether the image may and can be made.
 *
 * @throws RdpullError limit-exceeded, no-room, stream-unsupported
 */
async function requireRoom(
  { name, layers }: RegistryImage,
  room: TargetRoom,
  { limits, overcommit }: ImageTransfer,
): Promise<void> {
  if (layers.length === 0) {
    throw new RdpullError(
      'stream-unsupported',
      `${name} has no layers: there is nothing that could become a tree`,
      'look at what was pushed: skopeo inspect --raw shows the manifest',
    );
  }
  const expected = expectedOf(layers);
  requireDownload(expected.served, limits);
  requireSize(expected.uncompressed, expected.served, limits);
  await room.make(expected, overcommit);
}

/** What the layers so far have come to. */
interface Applied {
  readonly bytes: number;
  readonly served: number;
  readonly members: number;
  readonly made: number;
}

/** Applies the layers from the bottom up, each when it is its turn. */
async function applyLayers(
  { name, layers }: RegistryImage,
  downloads: LayerDownloads,
  pipeline: Pipeline,
  tree: string,
  { limits, memory }: ImageTransfer,
): Promise<Applied> {
  let applied: Applied = { bytes: 0, served: 0, members: 0, made: 0 };
  for (const [index, layer] of layers.entries()) {
    const what = `layer ${index + 1} of ${layers.length} of ${name}`;
    pipeline.start(
      {
        kind: 'layer',
        path: tree,
        limits,
        isVouchedFor: true,
        // One digest tells all of a layer that is served as it is.
        digest: isSameDigest(layer.digest, layer.diffId) ? undefined : layer.diffId.algorithm,
        position: {
          index,
          isLast: index === layers.length - 1,
          membersBelow: applied.members + applied.made,
          servedBelow: applied.served,
          bytesBelow: applied.bytes,
        },
      },
      memory,
    );
    await downloads.read(index, (bytes) => about(what, pipeline.write(bytes)));
    const result = await about(what, pipeline.finish());
    requireDiffId(what, layer, result);
    applied = {
      bytes: applied.bytes + result.bytes,
      served: applied.served + layer.size,
      members: applied.members + result.entries,
      made: applied.made + (result.layer?.made ?? 0),
    };
  }
  return applied;
}

/**
 * @throws RdpullError checksum-mismatch when the tar archive is not the one that the configuration names
 */
function requireDiffId(
  what: string,
  { diffId }: RegistryLayer,
  { layer, compression }: PipelineResult,
): void {
  const { algorithm, hex } = diffId;
  if (layer?.digest === hex || (layer?.digest === undefined && compression === 'none')) return;
  const found =
    layer?.digest === undefined ? `is packed with ${compression}` : `has ${algorithm}:${layer.digest}`;
  throw new RdpullError(
    'checksum-mismatch',
    `${what} is not what was promised: its tar archive ${found}, and the configuration names ${formatDigest(diffId)}`,
    'push the image again, from what has built it',
  );
}

/** The worker knows what is wrong with a layer, but not which layer it is. */
async function about<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof RdpullError)) throw error;
    throw new RdpullError(error.code, `${what}: ${error.message}`, error.hint, { cause: error });
  }
}
