import type { BlockMap } from '../blocks/block-map.ts';
import type { Location } from '../source/source.ts';
import type { RoomNeed } from '../transfer/room/target-room.ts';
import type { ChunkFetchOptions } from './fetch/block-fetcher.ts';
import type { BlockSource } from './fetch/run-delivery.ts';

/** An image on a server, any block of which can be had. Whoever reads when it is disposed of is told so. */
export interface ServedImage extends Disposable {
  readonly source: BlockSource;
  readonly map: BlockMap;
  /** Of an image in chunks. */
  readonly chunks: ChunkFetchOptions | undefined;
  /** The place that has it, or its index, and where redirects led to from there. */
  readonly location: Location;
  readonly url: string;
  readonly lastModified: Date | undefined;
  /** Bytes as served, where somebody says so: of chunks nobody does. */
  readonly size: number | undefined;
  /** Of what was checked when it was opened, lower-case hexadecimal: its index. Of others it is known when all of them is there. */
  readonly sha256: string | undefined;
  /** What was checked, where that is an index: as it was served. */
  readonly index: Uint8Array | undefined;
  /** What identifies the bytes of the file to the server; of chunks nothing does but their names. */
  readonly validator: string | undefined;
  /**
   * What it takes where it is put.
   *
   * @param enough with this much room it surely fits, and a request to learn more is not worth its time: bytes
   */
  readonly room: (enough: number) => Promise<RoomNeed>;
}
