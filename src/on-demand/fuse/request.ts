import { FUSE_OPCODE, IN_HEADER, INIT_IN, INTERRUPT_IN, OPEN_IN, READ_IN } from './protocol.ts';

/** What the kernel asks. `unique` is the number of the request, which the answer carries as well; `node` what it is about. */
export type Request =
  | {
      readonly kind: 'init';
      readonly unique: bigint;
      readonly major: number;
      readonly minor: number;
      readonly maxReadahead: number;
      readonly flags: number;
    }
  | { readonly kind: 'lookup'; readonly unique: bigint; readonly node: bigint; readonly name: string }
  | { readonly kind: 'getattr'; readonly unique: bigint; readonly node: bigint }
  /** `flags` as of open(2) */
  | { readonly kind: 'open'; readonly unique: bigint; readonly node: bigint; readonly flags: number }
  /** `offset` and `length` in bytes; no more than a safe integer, and none at all that matters above the size of a file. */
  | {
      readonly kind: 'read';
      readonly unique: bigint;
      readonly node: bigint;
      readonly offset: number;
      readonly length: number;
    }
  | { readonly kind: 'statfs'; readonly unique: bigint }
  /** Somebody closes a file: nothing is to be done. */
  | { readonly kind: 'close'; readonly unique: bigint }
  /** Nobody waits for the answer to request `interrupted` any more. */
  | { readonly kind: 'interrupt'; readonly interrupted: bigint }
  /** There is no answer to it. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'unknown'; readonly unique: bigint }
  /** `unique` is undefined where not even that is there. */
  | { readonly kind: 'malformed'; readonly unique: bigint | undefined };

/** Reads one message, as read(2) of /dev/fuse brings it. Whatever it is, this never throws. */
export function parseRequest(message: Buffer): Request {
  if (message.length < IN_HEADER.size) return { kind: 'malformed', unique: undefined };
  const unique = message.readBigUInt64LE(IN_HEADER.unique);
  const node = message.readBigUInt64LE(IN_HEADER.nodeid);
  const body = message.subarray(IN_HEADER.size);
  const malformed: Request = { kind: 'malformed', unique };
  if (message.readUInt32LE(IN_HEADER.len) !== message.length) return malformed;

  switch (message.readUInt32LE(IN_HEADER.opcode)) {
    case FUSE_OPCODE.FUSE_READ:
      if (body.length < READ_IN.length) return malformed;
      return {
        kind: 'read',
        unique,
        node,
        offset: safeNumber(body.readBigUInt64LE(READ_IN.offset)),
        length: body.readUInt32LE(READ_IN.size),
      };
    case FUSE_OPCODE.FUSE_INIT:
      if (body.length < INIT_IN.size) return malformed;
      return {
        kind: 'init',
        unique,
        major: body.readUInt32LE(INIT_IN.major),
        minor: body.readUInt32LE(INIT_IN.minor),
        maxReadahead: body.readUInt32LE(INIT_IN.max_readahead),
        flags: body.readUInt32LE(INIT_IN.flags),
      };
    case FUSE_OPCODE.FUSE_LOOKUP: {
      const end = body.indexOf(0);
      if (end < 0) return malformed;
      return { kind: 'lookup', unique, node, name: body.toString('utf8', 0, end) };
    }
    case FUSE_OPCODE.FUSE_GETATTR:
      return { kind: 'getattr', unique, node };
    case FUSE_OPCODE.FUSE_OPEN:
      if (body.length < OPEN_IN.size) return malformed;
      return { kind: 'open', unique, node, flags: body.readUInt32LE(OPEN_IN.flags) };
    case FUSE_OPCODE.FUSE_STATFS:
      return { kind: 'statfs', unique };
    case FUSE_OPCODE.FUSE_RELEASE:
      return { kind: 'close', unique };
    case FUSE_OPCODE.FUSE_INTERRUPT:
      if (body.length < INTERRUPT_IN.size) return { kind: 'forget' };
      return { kind: 'interrupt', interrupted: body.readBigUInt64LE(INTERRUPT_IN.unique) };
    case FUSE_OPCODE.FUSE_FORGET:
    case FUSE_OPCODE.FUSE_BATCH_FORGET:
      return { kind: 'forget' };
    default:
      return { kind: 'unknown', unique };
  }
}

/** Offsets that are no safe integers lie beyond the end of everything. */
function safeNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
