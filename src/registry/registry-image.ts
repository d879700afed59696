import type { Digest } from '../request/content-digest.ts';
import type { Source } from '../source/source.ts';

/** How the tar archive of a layer is compressed as it is served. */
export type LayerCompression = 'none' | 'gzip' | 'zstd';

/** One change of the tree: a tar archive that a registry serves as a blob. */
export interface RegistryLayer {
  /** Of the bytes as served. */
  readonly digest: Digest;
  /** Bytes as served, as the manifest says. */
  readonly size: number;
  readonly compression: LayerCompression;
  /** Of the tar archive (`rootfs.diff_ids` of the configuration). */
  readonly diffId: Digest;
}

/** What a reference stands for on one machine. */
export interface RegistryImage {
  /** For people: the reference as it was resolved, with its registry, and without any secret. */
  readonly name: string;
  /** What the image was made for, as registries spell it: `linux/arm64/v8`. */
  readonly platform: string;
  /** Of the manifest of this platform. */
  readonly manifestDigest: Digest;
  /** From the bottom up: each is applied to what those before it have made. The same blob may be there more than once. */
  readonly layers: readonly RegistryLayer[];
}

/** A conversation with one registry about one image: who is known there, and over which connections. */
export interface RegistrySession extends Disposable {
  /**
   * Asks what the reference stands for. Manifest and configuration are checked by their digests before they are read.
   *
   * @throws RdpullError
   */
  readImage(): Promise<RegistryImage>;
  /**
   * The bytes of a layer, from byte `from` on; over redirects, where no credential goes along, and on by range when a
   * connection is lost, for as long as the patience of the session lasts. They are not checked: who reads them hashes them.
   *
   * @throws RdpullError
   */
  openLayer(layer: RegistryLayer, from?: number): Promise<Source>;
}
