/**
 * A longer value is cut, in UTF-16 units: the few long ones of an entry (a message, a hint, a cause) then fit into one
 * datagram, for which the kernel has 208 KiB (net.core.wmem_default).
 */
const LONGEST = 8192;

/**
 * An entry of the journal in its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): `NAME=value`, or, for a
 * value of several lines, `NAME`, the length as 64 bits in little-endian order, and the bytes. So no value can end itself
 * and begin another field.
 *
 * @param fields names of capital letters, digits and underscores, and their values
 */
export function encodeJournalEntry(fields: ReadonlyMap<string, string>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of fields) {
    const text = value.slice(0, LONGEST);
    if (!text.includes('\n')) {
      parts.push(Buffer.from(`${name}=${text}\n`));
      continue;
    }
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    parts.push(Buffer.from(`${name}\n`), length, bytes, Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}
