import fs from 'node:fs';
import path from 'node:path';
import { fileState } from './file-state.ts';

/** As much of a file as is looked at to tell whether it is a secret key, in bytes. */
const START = 64;

/** The first line of a private key in armor (RFC 9580, section 6.2) or PEM (RFC 7468), of whatever kind. */
const PRIVATE_KEY = /^\s*-----BEGIN [A-Z0-9 ]*PRIVATE KEY/;

/** Versions and algorithms of public keys: RFC 9580, sections 5.5.2 and 9.1. */
const KEY_VERSIONS: readonly number[] = [3, 4, 5, 6];
const KEY_ALGORITHMS: readonly number[] = [1, 2, 3, 16, 17, 18, 19, 22, 25, 26, 27, 28];

/**
 * What nobody may fetch: the files that the server was given because they hold secrets, under every name and also when another
 * has taken their place since. Nor may they fetch a copy of one, or the next one on its way: see {@link isPrivateKey}.
 */
export class WithheldFiles {
  readonly #files: readonly string[];
  readonly #paths: ReadonlySet<string>;
  /** Of all files that have been there. */
  readonly #identities = new Set<string>();

  /** @throws Error of the file system */
  constructor(files: readonly string[]) {
    this.#files = files.map((file) => path.resolve(file));
    const real = this.#files.map((file) => fs.realpathSync(file));
    const named = this.#files.map((file) =>
      path.join(fs.realpathSync(path.dirname(file)), path.basename(file)),
    );
    this.#paths = new Set([...real, ...named]);
    this.#notice();
  }

  /** Those of them that lie below a directory, by its real path. */
  below(directory: string): string[] {
    return [...this.#paths].filter((file) => file.startsWith(`${directory}/`));
  }

  /**
   * Whether an open file is withheld.
   *
   * @param real its path, without symbolic links
   * @param identity as {@link fileState} has it
   */
  has(real: string, identity: string): boolean {
    if (this.#paths.has(real)) return true;
    this.#notice();
    return this.#identities.has(identity);
  }

  /** What is there now under the names of the files, if anything is. */
  #notice(): void {
    for (const file of this.#files) {
      const stats = fs.statSync(file, { bigint: true, throwIfNoEntry: false });
      if (stats !== undefined) this.#identities.add(fileState(stats).identity);
    }
  }
}

/** Whether an open file begins as a private key does. */
export function isPrivateKey(fd: number): boolean {
  const start = Buffer.alloc(START);
  const length = fs.readSync(fd, start, 0, START, 0);
  return PRIVATE_KEY.test(start.toString('latin1', 0, length)) || isSecretKeyPacket(start);
}

/** Whether bytes begin with an OpenPGP secret key: a packet of type 5, of the old format or the new one (RFC 9580, section 4.2). */
function isSecretKeyPacket(start: Uint8Array): boolean {
  const [tag = 0, length = 0] = start;
  const header = tag === 0xc5 ? (length < 192 ? 2 : length < 224 ? 3 : 6) : { 148: 2, 149: 3, 150: 5 }[tag];
  if (header === undefined) return false;
  // The version, four bytes of the time it was made, and the algorithm; of version 3 there are two bytes more.
  const version = start[header] ?? 0;
  const algorithm = start[header + (version === 3 ? 7 : 5)] ?? 0;
  return KEY_VERSIONS.includes(version) && KEY_ALGORITHMS.includes(algorithm);
}
