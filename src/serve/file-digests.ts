import fs from 'node:fs';
import { promisify } from 'node:util';
import { fileState, isUntouched, stateKey } from './file-state.ts';
import type { ServedFile } from './served-directory.ts';

const read = promisify(fs.read);

/** Bytes that are hashed at once: some 0.4 ms, after which others have their turn. */
const CHUNK = 512 * 1024;

/** Digests that are kept; a directory of images has fewer files. */
const KEPT = 4096;

/** A file was written to while it was read. */
export class FileChanged extends Error {
  constructor() {
    super('it is being written to');
  }
}

/**
 * The SHA-256 of files as they are now. Each content is read once, one file after the other, so that serving goes on
 * meanwhile.
 */
export class FileDigests {
  readonly #known = new Map<string, Promise<string>>();
  #last: Promise<unknown> = Promise.resolve();

  /**
   * The digest of an open file, in lower-case hexadecimal; takes over the file, and closes it.
   *
   * @throws FileChanged, and Error of the file system
   */
  of(file: ServedFile): Promise<string> {
    const key = stateKey(file.state);
    const known = this.#known.get(key);
    if (known !== undefined) {
      file[Symbol.dispose]();
      return known;
    }
    const digest = this.#last.then(() => hash(file));
    // What has failed is tried again by whoever asks next, and holds up nobody behind it.
    this.#last = digest.catch(() => this.#known.delete(key));
    this.#known.set(key, digest);
    const [oldest] = this.#known.keys();
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
    return digest;
  }
}

async function hash(file: ServedFile): Promise<string> {
  try {
    const digest = new Bun.CryptoHasher('sha256');
    const buffer = Buffer.allocUnsafe(CHUNK);
    for (let offset = 0; offset < file.state.size; ) {
      const { bytesRead } = await read(file.fd, buffer, 0, buffer.length, offset);
      if (bytesRead === 0) break;
      digest.update(buffer.subarray(0, bytesRead));
      offset += bytesRead;
    }
    if (!isUntouched(file.state, fileState(fs.fstatSync(file.fd, { bigint: true })))) throw new FileChanged();
    return digest.digest('hex');
  } finally {
    file[Symbol.dispose]();
  }
}
