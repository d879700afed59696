/** What a chunk is called by: the digest of its bytes. casync's default is SHA-512/256. */
export type ChunkDigest = 'sha512-256' | 'sha256';
