import fs from 'node:fs';
import { constants } from 'node:os';
import type { FileTree } from './file-tree.ts';
import { FUSE_KERNEL_VERSION } from './protocol.ts';
import {
  attributesReply,
  emptyReply,
  entryReply,
  errorReply,
  initReply,
  openReply,
  statfsReply,
} from './reply.ts';
import type { Request } from './request.ts';

/** What a request leads to. */
export type Response =
  /** A whole message for the kernel. */
  | { readonly kind: 'reply'; readonly reply: Buffer }
  /** This part of the file: it lies in it, and is not empty. */
  | { readonly kind: 'part'; readonly unique: bigint; readonly offset: number; readonly length: number }
  /** Nobody waits for this request any more: what it is about has to be answered at once. */
  | { readonly kind: 'interrupt'; readonly interrupted: bigint }
  | { readonly kind: 'none' };

const { EIO, EISDIR, ENOENT, ENOSYS, EPROTO, EROFS } = constants.errno;
const O_ACCMODE = 3; // asm-generic/fcntl.h

/** Everything but where bytes come from: what the kernel is to be told about a file of this tree. */
export function respond(request: Request, tree: FileTree): Response {
  switch (request.kind) {
    case 'read': {
      const { unique, offset } = request;
      if (request.node !== BigInt(tree.file.id)) return failure(unique, nodeError(request.node, tree));
      const length = Math.min(request.length, Math.max(tree.file.size - offset, 0));
      if (length === 0) return message(emptyReply(unique));
      return { kind: 'part', unique, offset, length };
    }
    case 'init':
      if (request.major < FUSE_KERNEL_VERSION) return failure(request.unique, EPROTO);
      return message(initReply(request.unique, request.flags, request.maxReadahead));
    case 'lookup': {
      const node = tree.child(request.node, request.name);
      return node === undefined ? failure(request.unique, ENOENT) : message(entryReply(request.unique, node));
    }
    case 'getattr': {
      const node = tree.node(request.node);
      return node === undefined
        ? failure(request.unique, ENOENT)
        : message(attributesReply(request.unique, node));
    }
    case 'open':
      if (request.node !== BigInt(tree.file.id))
        return failure(request.unique, nodeError(request.node, tree));
      if ((request.flags & O_ACCMODE) !== fs.constants.O_RDONLY) return failure(request.unique, EROFS);
      return message(openReply(request.unique));
    case 'statfs':
      return message(statfsReply(request.unique, tree.file.size));
    case 'close':
      return message(emptyReply(request.unique));
    case 'interrupt':
      return { kind: 'interrupt', interrupted: request.interrupted };
    case 'forget':
      return { kind: 'none' };
    case 'unknown':
      // The kernel does without, and does not ask again. Of FUSE_FLUSH that is wanted, see openFuseFile().
      return failure(request.unique, ENOSYS);
    case 'malformed':
      return request.unique === undefined ? { kind: 'none' } : failure(request.unique, EIO);
  }
}

function nodeError(node: bigint, tree: FileTree): number {
  return tree.node(node) === undefined ? ENOENT : EISDIR;
}

function message(reply: Buffer): Response {
  return { kind: 'reply', reply };
}

function failure(unique: bigint, errno: number): Response {
  return message(errorReply(unique, errno));
}
