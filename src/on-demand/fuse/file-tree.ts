import { S_IFDIR, S_IFREG } from '../../kernel/directory-tree.ts';
import { FUSE_ROOT_ID } from './protocol.ts';

/** A directory, or the file. */
export interface Node {
  readonly id: number;
  /** As of stat(2), with the type. */
  readonly mode: number;
  /** Bytes; 0 of a directory. */
  readonly size: number;
}

/**
 * All that the file system holds: one file, and the directories above it. So the kernel calls the file as it will be called
 * when it is complete (/sys/block/loop0/loop/backing_file, losetup), and udev's rules go by that name.
 */
export interface FileTree {
  readonly file: Node;
  /** undefined when there is none */
  node(id: bigint): Node | undefined;
  /** What is called `name` in the directory `parent`. */
  child(parent: bigint, name: string): Node | undefined;
}

/** @param path of the file: absolute, without `.`, `..` and empty names */
export function fileTree(path: string, size: number): FileTree {
  const names = path.split('/').slice(1);
  const directories = names.map(
    (_, depth): Node => ({ id: FUSE_ROOT_ID + depth, mode: S_IFDIR | 0o500, size: 0 }),
  );
  const file: Node = { id: FUSE_ROOT_ID + names.length, mode: S_IFREG | 0o400, size };
  const nodes = [...directories, file];
  return {
    file,
    node: (id) => nodes[Number(id) - FUSE_ROOT_ID],
    child(parent, name) {
      const depth = Number(parent) - FUSE_ROOT_ID;
      return name === names[depth] ? nodes[depth + 1] : undefined;
    },
  };
}
