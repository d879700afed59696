import { quoted } from '../../console/printable.ts';
import { contentLength, requireOneFraming } from './body-framing.ts';
import { HttpFault, notHttp } from './http-fault.ts';
import { fieldValues } from './response-head.ts';
import type { UndiciParser } from './undici-parser.ts';

/** What the heads of an answer may be long together, in bytes; and the trailers. */
export const HEAD_MAX = 16 * 1024;

/** How many interim answers (RFC 9110, section 15.2) may come before the answer. */
const INTERIM_MAX = 10;

const SWITCHING_PROTOCOLS = 101;

/** What matters of a head to what follows it. */
export interface EndedHead {
  /** Whether one of its lines ends with LF alone. */
  readonly hasLoneLf: boolean;
  /** What it says that the body is long, or would be for a GET, in bytes. */
  readonly length: number | undefined;
}

/** The heads of one answer, as they came. */
export interface HeadRecord {
  /** What has come since the last head that has ended, as ISO 8859-1; no more of it than may come, and than is looked at. */
  readonly text: string;
  /** How much has come since then, in bytes; no more than may come. */
  readonly length: number;
  /** Whether the head of the answer itself has ended. */
  readonly isComplete: boolean;
  add(chunk: Buffer): void;
  /**
   * A head has ended.
   *
   * @throws HttpFault RDPULL_NOT_HTTP, RDPULL_LONG_HEAD
   */
  end(parser: UndiciParser, status: number): EndedHead;
}

export function createHeadRecord(): HeadRecord {
  let text = '';
  /** What has come behind {@link text}, and is part of a body: nobody looks at that. */
  let untaken = 0;
  let bytes = 0;
  let interim = 0;
  let isComplete = false;
  return {
    get text() {
      return text;
    },
    get length() {
      return text.length + untaken;
    },
    get isComplete() {
      return isComplete;
    },
    add(chunk) {
      const room = Math.max(0, 2 * HEAD_MAX - text.length - untaken);
      const length = Math.min(room, chunk.length);
      const taken =
        text === '' && untaken === 0 ? Math.min(length, wholeHead(chunk)) : untaken > 0 ? 0 : length;
      text += chunk.toString('latin1', 0, taken);
      untaken += length - taken;
    },
    end(parser, status) {
      bytes += parser.headersSize;
      if (bytes > HEAD_MAX)
        throw new HttpFault('RDPULL_LONG_HEAD', `the head is longer than ${HEAD_MAX} bytes`);
      const firstLine = /^[^\r\n]*/.exec(text)?.[0] ?? '';
      if (status < 100 || !/^[\t\x20-\x7e\x80-\xff]+$/.test(firstLine))
        throw notHttp(`its first line is ${quoted(firstLine.slice(0, 80))}`);
      requireVersion1(parser);
      if (status === SWITCHING_PROTOCOLS) throw notHttp('it goes over to a protocol that was not asked for');
      const values = fieldValues(parser.headers);
      if (status < 200) interim++;
      else requireOneFraming(versionOf(parser), values, readsToEnd(parser));
      if (interim > INTERIM_MAX) throw notHttp(`more than ${INTERIM_MAX} interim answers`);
      isComplete = status >= 200;
      const last = /\n\r?\n/.exec(text);
      const end = last === null ? text.length : last.index + last[0].length;
      const lines = text.slice(0, end);
      // Behind the status llhttp takes one for the end of the line, and the next one for the end of the head.
      if (/\r(?!\n)/.test(lines)) throw notHttp('a carriage return within its head ends no line');
      const hasLoneLf = /(?<!\r)\n/.test(lines);
      text = text.slice(end);
      return { hasLoneLf, length: contentLength(values) };
    },
  };
}

/** `HTTP/1.1 200`: where the digit stands that says that no other head follows this one. */
const CLASS_OF_STATUS = 9;
const DIGIT_2 = 0x32;

/** Bytes of the head that a chunk begins with, where all of it is there, and it is that of an answer; else any number. */
function wholeHead(chunk: Buffer): number {
  const isFinal = (chunk[CLASS_OF_STATUS] ?? 0) >= DIGIT_2;
  const end = isFinal ? chunk.indexOf('\r\n\r\n') : -1;
  return end < 0 ? Number.POSITIVE_INFINITY : end + 4;
}

/** Whether llhttp takes the end of the connection for the end of the body. */
function readsToEnd({ llhttp, ptr }: UndiciParser): boolean {
  return llhttp.llhttp_message_needs_eof(ptr) !== 0;
}

function requireVersion1(parser: UndiciParser): void {
  const version = versionOf(parser);
  if (!version.startsWith('1.')) throw notHttp(`it is of version ${version}, and 1.1 was asked for`);
}

function versionOf({ llhttp, ptr }: UndiciParser): string {
  return `${llhttp.llhttp_get_http_major(ptr)}.${llhttp.llhttp_get_http_minor(ptr)}`;
}
