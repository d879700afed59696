import type { Login } from './login.ts';
import type { Patience } from './patience.ts';

/** What every request for a file is made with. */
export interface SourceOptions {
  /** PEM bundles to trust instead of the system's (`--ca=FILE`). */
  readonly ca: readonly string[];
  /** For the server that it names; URLs themselves carry none. */
  readonly login: Login | undefined;
  /** How long to try to reach the server; without it, once. */
  readonly patience?: Patience;
  /** Ends the request or the body early. */
  readonly signal: AbortSignal;
}

/** A file on its way: what is known of it beforehand, and its bytes. */
export interface Source {
  /** Where the bytes really come from, after redirects. */
  readonly url: string;
  /** Length in bytes, when it is known before the end. */
  readonly size: number | undefined;
  readonly lastModified: Date | undefined;
  /** The bytes as served. Each chunk is only valid until the next is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up the connection or the descriptor, whether or not the body was read. */
  close(): void;
}
