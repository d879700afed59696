import { setTimeout as sleep } from 'node:timers/promises';
import { printable } from '../console/printable.ts';
import { isFromSystemCall, reasonWithoutPath } from '../kernel/system-error.ts';
import { FileChanged, type FileDigests } from './file-digests.ts';
import type { ListSigner } from './list-signer.ts';
import type { ServedDirectory, ServedFile } from './served-directory.ts';

/** The names of the list and of its signature. */
export const LIST = 'SHA256SUMS';
export const SIGNATURE = 'SHA256SUMS.gpg';

/** How long a request waits for digests, in ms, before it is told to come back. */
const PATIENCE = 10_000;

/** How long a client that was given a list gets the signature of that one, in ms, whatever has changed since. */
const MEMORY = 60_000;
const CLIENTS_MAX = 1024;

/** The checksum file of a directory, or why there is none yet. */
export type ChecksumList = { readonly text: string } | { readonly kind: 'not ready' };

/**
 * Makes SHA256SUMS as sha256sum(1) writes it, for what a directory serves at this moment, and signs it.
 */
export class ChecksumLists {
  readonly #directory: ServedDirectory;
  readonly #digests: FileDigests;
  /** Whose signatures there are; undefined: nobody's. */
  readonly signer: ListSigner | undefined;
  readonly #warn: (text: string) => void;
  readonly #given = new Map<string, { readonly text: string; readonly at: number }>();
  readonly #signed = new Map<string, Promise<Uint8Array>>();

  /** @param warn takes a line about a file that cannot be listed */
  constructor(
    directory: ServedDirectory,
    digests: FileDigests,
    signer: ListSigner | undefined,
    warn: (text: string) => void,
  ) {
    this.#directory = directory;
    this.#digests = digests;
    this.signer = signer;
    this.#warn = warn;
  }

  /**
   * The list of all files in the directory `names`; undefined when there is no such directory.
   *
   * @param client who asks, whose next question may be for the signature
   */
  async list(names: readonly string[], client: string): Promise<ChecksumList | undefined> {
    if (this.#directory.open(names).kind !== 'directory') return undefined;
    const begun = performance.now();
    for (;;) {
      const left = PATIENCE - (performance.now() - begun);
      const list = await this.#attempt(names, Math.max(0, left));
      if (list === 'changed' && left > 0) continue;
      if (list === 'changed' || list === 'late') return { kind: 'not ready' };
      this.#remember(client, names, list);
      return { text: list };
    }
  }

  /** The signature of the list that `client` has, or of the present one; undefined when nobody signs. */
  async signature(
    names: readonly string[],
    client: string,
  ): Promise<{ readonly bytes: Uint8Array } | { readonly kind: 'not ready' } | undefined> {
    const { signer } = this;
    if (signer === undefined) return undefined;
    const given = this.#given.get(place(client, names));
    const isFresh = given !== undefined && performance.now() - given.at < MEMORY;
    const list = isFresh ? given : await this.list(names, client);
    if (list === undefined || !('text' in list)) return list;
    const { text } = list;
    let signed = this.#signed.get(text);
    if (signed === undefined) {
      signed = signer.sign(text);
      this.#signed.set(text, signed);
      forgetOldest(this.#signed);
    }
    return { bytes: await signed };
  }

  async #attempt(names: readonly string[], patience: number): Promise<string | 'changed' | 'late'> {
    const files = (this.#directory.list(names) ?? []).filter(({ kind }) => kind === 'file');
    const listed = files.filter(({ name }) => !isAboutList(name)).map(({ name }) => name);
    using timer = new Timer(patience);
    try {
      const list = await Promise.race([this.#linesOf(names, listed), timer.expired]);
      return list ?? 'late';
    } catch (error) {
      if (!(error instanceof FileChanged)) throw error;
      return 'changed';
    }
  }

  /** The lines of files in the directory `names`. One file after the other: all of them at once may be more than may be open. */
  async #linesOf(names: readonly string[], files: readonly string[]): Promise<string> {
    let lines = '';
    for (const file of files) {
      const found = this.#directory.open([...names, file]);
      if (found.kind === 'file') lines += await this.#lineOf(found, file);
    }
    return lines;
  }

  /** Of a file that cannot be read there is none, and the others have theirs nevertheless. */
  async #lineOf(file: ServedFile, name: string): Promise<string> {
    try {
      return line(await this.#digests.of(file), name);
    } catch (error) {
      if (!isFromSystemCall(error)) throw error;
      this.#warn(`${printable(name)} is not in ${LIST}: it cannot be read: ${reasonWithoutPath(error)}`);
      return '';
    }
  }

  #remember(client: string, names: readonly string[], text: string): void {
    const key = place(client, names);
    this.#given.delete(key);
    this.#given.set(key, { text, at: performance.now() });
    forgetOldest(this.#given);
  }
}

/** Gives undefined after so many ms, if somebody still waits then. */
class Timer implements Disposable {
  readonly #controller = new AbortController();
  readonly expired: Promise<undefined>;

  constructor(milliseconds: number) {
    const { signal } = this.#controller;
    this.expired = sleep(milliseconds, undefined, { signal }).catch(() => undefined);
  }

  [Symbol.dispose](): void {
    this.#controller.abort();
  }
}

/** Whether a file is a list or the signature of one, which no list has in it. */
export function isAboutList(name: string): boolean {
  return name === LIST || name.startsWith(`${LIST}.`);
}

/** coreutils escape such names, and mark the line with a backslash before it. */
function line(digest: string, name: string): string {
  if (!/[\\\n\r]/.test(name)) return `${digest} *${name}\n`;
  const escaped = name.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
  return `\\${digest} *${escaped}\n`;
}

const place = (client: string, names: readonly string[]) => `${client} ${names.join('/')}`;

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys();
  if (map.size > CLIENTS_MAX && oldest !== undefined) map.delete(oldest);
}
