/** The blob types of GnuPG's kbx/keybox-defs.h that matter here. */
const KEYBOX_BLOBTYPE_PGP = 2;

const MAGIC = 'KBXf';
const MAGIC_OFFSET = 8;

/** Offsets in an OpenPGP blob (GnuPG, kbx/keybox-blob.c); numbers are big-endian. */
const BLOB = { length: 0, type: 4, keyblockOffset: 8, keyblockLength: 12 } as const;

/**
 * Whether a file is a keybox. `gpg --keyring FILE --import` has written this format into new files since GnuPG 2.1,
 * whatever their name: what an administrator takes for `import-pubring.gpg` often is one.
 */
export function isKeybox(content: Uint8Array): boolean {
  return (
    Buffer.from(content.subarray(MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length)).toString('latin1') === MAGIC
  );
}

/**
 * The OpenPGP certificates of a keybox, each as `gpg --export` would write it.
 *
 * @throws RangeError when a length or an offset points out of the file
 */
export function keyboxCertificates(content: Uint8Array): Uint8Array[] {
  const certificates: Uint8Array[] = [];
  for (let start = 0; start < content.length; ) {
    const blob = within(content, start, readU32(content, start + BLOB.length));
    if (blob.length <= BLOB.type) throw new RangeError('a keybox blob is too short');
    if (blob[BLOB.type] === KEYBOX_BLOBTYPE_PGP) {
      const offset = readU32(blob, BLOB.keyblockOffset);
      certificates.push(within(blob, offset, readU32(blob, BLOB.keyblockLength)));
    }
    start += blob.length;
  }
  return certificates;
}

function readU32(bytes: Uint8Array, offset: number): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32BE(offset);
}

function within(bytes: Uint8Array, offset: number, length: number): Uint8Array {
  if (offset + length > bytes.length) throw new RangeError('a keybox blob ends behind its file');
  return bytes.subarray(offset, offset + length);
}
