import type { SynchronousSink } from '../../../decode/sink.ts';
import type { DigestAlgorithm } from '../../../request/content-digest.ts';
import { type DirectoryTreeOptions, openTreeSink } from '../directory-tree.ts';
import { LowerTree, nothingBelow } from './lower-tree.ts';

/** Where a layer stands in its image. */
export interface LayerPosition {
  /** How many layers are below it, and are applied. */
  readonly index: number;
  readonly isLast: boolean;
  /** Members of these layers, and directories made on the way to them: the limit holds for all layers together. */
  readonly membersBelow: number;
}

/** What there is to say of a layer that is applied. */
export interface LayerResult {
  /** Directories that were made because they are on the way to a member, and none themselves. */
  readonly made: number;
  /** Of the tar archive, in lower-case hexadecimal digits; undefined when nobody has asked for it. */
  readonly digest: string | undefined;
}

export interface LayerSink extends SynchronousSink {
  /** When it has finished. */
  result(): LayerResult;
}

/**
 * A sink that applies a layer of a container image, a tar archive, to the tree of those below it: README.md has the rules.
 *
 * @param path the directory of the tree: empty for the bottom layer
 * @param algorithm by which the archive is hashed on the way
 */
export function openLayerSink(
  path: string,
  options: DirectoryTreeOptions,
  { index, isLast, membersBelow }: LayerPosition,
  algorithm: DigestAlgorithm | undefined,
): LayerSink {
  const digest = algorithm === undefined ? undefined : new Bun.CryptoHasher(algorithm);
  let made = 0;
  const tree = openTreeSink(path, options, {
    isLast,
    membersBelow,
    mayLackPadding: true,
    below: (parts) => (index === 0 ? nothingBelow(parts) : new LowerTree(parts)),
  });
  return {
    ...tree,
    write(chunk) {
      digest?.update(chunk);
      tree.write(chunk);
    },
    finish() {
      const result = tree.finish();
      made = result.made;
      return result;
    },
    result: () => ({ made, digest: digest?.digest('hex') }),
  };
}
