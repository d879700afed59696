/** Messages as the kernel writes them, by hand: struct fuse_in_header of include/uapi/linux/fuse.h, then `body`. */
export function kernelMessage(
  opcode: number,
  { unique = 2n, node = 1n, body = Buffer.alloc(0) }: { unique?: bigint; node?: bigint; body?: Buffer } = {},
): Buffer {
  const header = Buffer.alloc(40);
  header.writeUInt32LE(40 + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(unique, 8);
  header.writeBigUInt64LE(node, 16);
  return Buffer.concat([header, body]);
}

/** Little-endian words of so many bytes each. */
export function words(...values: readonly (readonly [value: number | bigint, bytes: 2 | 4 | 8])[]): Buffer {
  return Buffer.concat(
    values.map(([value, bytes]) => {
      const word = Buffer.alloc(8);
      word.writeBigUInt64LE(BigInt(value));
      return word.subarray(0, bytes);
    }),
  );
}
