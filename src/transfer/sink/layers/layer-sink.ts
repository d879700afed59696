import { type DirectoryTreeOptions, openTreeSink, type TreeSink } from '../directory-tree.ts';
import { LowerTree, NOTHING_BELOW } from './lower-tree.ts';

/** Where a layer stands in its image. */
export interface LayerPosition {
  /** How many layers are below it, and are applied. */
  readonly index: number;
  readonly isLast: boolean;
  /** Members of these layers, and directories made on the way to them: the limit holds for all layers together. */
  readonly membersBelow: number;
}

/**
 * A sink that applies a layer of a container image, a tar archive, to the tree of those below it: README.md has the rules.
 *
 * @param path the directory of the tree: empty for the bottom layer
 */
export function openLayerSink(
  path: string,
  options: DirectoryTreeOptions,
  { index, isLast, membersBelow }: LayerPosition,
): TreeSink {
  return openTreeSink(path, options, {
    isLast,
    membersBelow,
    below: (parts) => (index === 0 ? NOTHING_BELOW : new LowerTree(parts)),
  });
}
