import type { ClientCertificate } from './client-certificate.ts';
import type { Login } from './login.ts';
import type { Pools } from './pools.ts';
import type { ProxyRules } from './proxy.ts';

/** For a server that cannot be reached, or that fails. */
export interface Patience {
  /** How long to go on without any progress; 0: everything is tried once. */
  readonly milliseconds: number;
  /**
   * Takes a line about what went wrong and what is done about it.
   *
   * @param pause how long nothing happens next, in ms
   */
  readonly notify: (text: string, pause: number) => void;
}

/** What one server is shown, and how it is reached. */
export interface ServerIdentity {
  /** For the server that it names; URLs themselves carry none. */
  readonly login: Login | undefined;
  /** For the server that it names. */
  readonly clientCertificate?: ClientCertificate | undefined;
  /** The network that link-local addresses are in: the name of an interface, or its number. */
  readonly zone?: string | undefined;
}

/** Where a file lies. */
export interface Location extends ServerIdentity {
  /** Without a login, and without a zone. */
  readonly url: string;
}

/** What a server has said itself, where it was asked: through no proxy, and not where a redirect to somebody else leads. */
export interface HeardAnswer {
  readonly url: URL;
  /** The value of a field, by its lower-case name. */
  readonly header: (name: string) => string | undefined;
  /** The network that its link-local address is in. */
  readonly zone: string | undefined;
}

/** What every request for a file is made with. */
export interface SourceOptions extends ServerIdentity {
  /** PEM bundles to trust instead of the system's (`--ca=FILE`). */
  readonly ca: readonly string[];
  /** Which proxy to ask; absent: none. */
  readonly proxy?: ProxyRules;
  /** How long to try to reach the server; without it, once. */
  readonly patience?: Patience;
  /** Ask whether the file is there, and for nothing of it: the body is empty (RFC 9110, section 9.3.2). */
  readonly headOnly?: boolean;
  /** How many redirects to follow; without it, ten. */
  readonly redirects?: number;
  /** Keeps connections for the requests to come; without it, each request has one of its own. */
  readonly pools?: Pools;
  /** The media types that are wanted (`Accept`), where a server has more than one answer for a URL. */
  readonly accept?: string;
  /** A refusal is told with what the server says beside it: {@link HttpStatusError.said}. */
  readonly keepsRefusal?: boolean;
  /** A digest is promised of the file: that decides which bytes are its own, and not what the server calls them. */
  readonly isPromised?: boolean;
  /** Takes each answer, good or bad. */
  readonly heard?: (answer: HeardAnswer) => void;
  /** How long a server may stay silent, in ms; without it, 30 s. */
  readonly silence?: number;
  /** Ends the request or the body early. */
  readonly signal: AbortSignal;
}

/** The part of a file that is asked for. A server may send the whole file nevertheless: see {@link Source.range}. */
export interface RangeRequest {
  /** The first byte that is wanted, counted from 0. */
  readonly from: number;
  /** The last byte that is wanted; absent: all to the end. */
  readonly to?: number;
  /** Send the whole file instead if this is not its validator any more (`If-Range`, RFC 9110, section 13.1.5). */
  readonly validator?: string | undefined;
}

/** Which bytes a body holds: `from` and `to` are the first and the last of them. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** A file on its way: what is known of it beforehand, and its bytes. */
export interface Source {
  /** Where the bytes really come from, after redirects. */
  readonly url: string;
  /** Length of the whole file in bytes, when it is known before the end. */
  readonly size: number | undefined;
  readonly lastModified: Date | undefined;
  /**
   * What `If-Range` may carry to ask for the rest of the very same bytes: a strong entity tag, or a date that counts as
   * one. undefined when the server says nothing that identifies them.
   */
  readonly validator: string | undefined;
  /** The strong entity tag alone (RFC 9110, section 8.8.3): what servers can agree upon. */
  readonly entityTag: string | undefined;
  /** Of the entity tag, strong or weak, what is another one where it is another file. */
  readonly opaqueTag: string | undefined;
  /** What the server says to have put around the file, though its name does not (`Content-Encoding`), to be told where it matters. */
  readonly codings: readonly string[];
  /** Whether the server says or shows that it can send parts of the file. */
  readonly acceptsRanges: boolean;
  /** The part of the file that `body` holds; undefined: it holds the whole, whatever was asked for. */
  readonly range: ByteRange | undefined;
  /** The bytes as served. Each chunk is only valid until the next is asked for. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Gives up the connection or the descriptor, whether or not the body was read. */
  close(): void;
}
