import type { Node } from './file-tree.ts';
import {
  ATTR,
  ATTR_OUT,
  ENTRY_OUT,
  FOPEN_KEEP_CACHE,
  FOPEN_NOFLUSH,
  FUSE_ASYNC_DIO,
  FUSE_ASYNC_READ,
  FUSE_KERNEL_MINOR_VERSION,
  FUSE_KERNEL_VERSION,
  FUSE_MAX_PAGES,
  INIT_OUT,
  OPEN_OUT,
  OUT_HEADER,
  STATFS_OUT,
} from './protocol.ts';

/** How long the kernel may keep what it was told, in s: nothing of it ever changes. */
const VALID = 0x7fff_ffffn;

const PAGE_BYTES = 4096;

/** Bytes of one read at most: as many as the kernel's default takes (256 pages, fs.fuse.max_pages_limit). */
export const MAX_READ = 1024 * 1024;

/** Reads that the kernel may have asked for and got no answer to: a server that is slow must hold up as few as can be. */
const MAX_BACKGROUND = 256;
const CONGESTION_THRESHOLD = 192;

/** Nothing is ever written, but the kernel wants a page at least. */
const MAX_WRITE = PAGE_BYTES;

/** struct fuse_out_header before a body of `bodyLength` bytes that follows. */
export function replyHeader(unique: bigint, bodyLength: number): Buffer {
  const header = Buffer.alloc(OUT_HEADER.size);
  header.writeUInt32LE(OUT_HEADER.size + bodyLength, OUT_HEADER.len);
  header.writeBigUInt64LE(unique, OUT_HEADER.unique);
  return header;
}

/** @param errno positive, as of errno(3) */
export function errorReply(unique: bigint, errno: number): Buffer {
  const header = replyHeader(unique, 0);
  header.writeInt32LE(-errno, OUT_HEADER.error);
  return header;
}

export function emptyReply(unique: bigint): Buffer {
  return replyHeader(unique, 0);
}

/**
 * Agrees on a version and on what goes beyond it. A kernel of a later major version asks again with ours.
 *
 * @param flags what the kernel can do
 */
export function initReply(unique: bigint, flags: number, maxReadahead: number): Buffer {
  return reply(unique, INIT_OUT.size, (body) => {
    body.writeUInt32LE(FUSE_KERNEL_VERSION, INIT_OUT.major);
    body.writeUInt32LE(FUSE_KERNEL_MINOR_VERSION, INIT_OUT.minor);
    body.writeUInt32LE(maxReadahead, INIT_OUT.max_readahead);
    body.writeUInt32LE(flags & (FUSE_ASYNC_READ | FUSE_ASYNC_DIO | FUSE_MAX_PAGES), INIT_OUT.flags);
    body.writeUInt16LE(MAX_BACKGROUND, INIT_OUT.max_background);
    body.writeUInt16LE(CONGESTION_THRESHOLD, INIT_OUT.congestion_threshold);
    body.writeUInt32LE(MAX_WRITE, INIT_OUT.max_write);
    body.writeUInt32LE(1, INIT_OUT.time_gran);
    body.writeUInt16LE(MAX_READ / PAGE_BYTES, INIT_OUT.max_pages);
  });
}

export function entryReply(unique: bigint, node: Node): Buffer {
  return reply(unique, ENTRY_OUT.size, (body) => {
    body.writeBigUInt64LE(BigInt(node.id), ENTRY_OUT.nodeid);
    body.writeBigUInt64LE(VALID, ENTRY_OUT.entry_valid);
    body.writeBigUInt64LE(VALID, ENTRY_OUT.attr_valid);
    writeAttributes(body.subarray(ENTRY_OUT.attr), node);
  });
}

export function attributesReply(unique: bigint, node: Node): Buffer {
  return reply(unique, ATTR_OUT.size, (body) => {
    body.writeBigUInt64LE(VALID, ATTR_OUT.attr_valid);
    writeAttributes(body.subarray(ATTR_OUT.attr), node);
  });
}

export function openReply(unique: bigint): Buffer {
  return reply(unique, OPEN_OUT.size, (body) => {
    body.writeUInt32LE(FOPEN_KEEP_CACHE | FOPEN_NOFLUSH, OPEN_OUT.open_flags);
  });
}

/** @param size of the one file, bytes */
export function statfsReply(unique: bigint, size: number): Buffer {
  return reply(unique, STATFS_OUT.size, (body) => {
    body.writeBigUInt64LE(BigInt(Math.ceil(size / PAGE_BYTES)), STATFS_OUT.blocks);
    body.writeBigUInt64LE(1n, STATFS_OUT.files);
    body.writeUInt32LE(PAGE_BYTES, STATFS_OUT.bsize);
    body.writeUInt32LE(255, STATFS_OUT.namelen);
    body.writeUInt32LE(PAGE_BYTES, STATFS_OUT.frsize);
  });
}

function reply(unique: bigint, bodyLength: number, fill: (body: Buffer) => void): Buffer {
  const message = Buffer.concat([replyHeader(unique, bodyLength), Buffer.alloc(bodyLength)]);
  fill(message.subarray(OUT_HEADER.size));
  return message;
}

function writeAttributes(attributes: Buffer, { id, mode, size }: Node): void {
  attributes.writeBigUInt64LE(BigInt(id), ATTR.ino);
  attributes.writeBigUInt64LE(BigInt(size), ATTR.size);
  attributes.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), ATTR.blocks);
  attributes.writeUInt32LE(mode, ATTR.mode);
  attributes.writeUInt32LE(1, ATTR.nlink);
  attributes.writeUInt32LE(PAGE_BYTES, ATTR.blksize);
}
