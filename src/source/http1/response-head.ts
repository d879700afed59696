import { quoted } from '../../console/printable.ts';
import { HttpFault, notHttp } from './http-fault.ts';
import { createLineReader } from './line-reader.ts';

/** What the heads of an answer may be long together, in bytes. */
const HEAD_MAX = 16 * 1024;

/** How many interim answers (RFC 9110, section 15.2) may come before the answer. */
const INTERIM_MAX = 10;

const SWITCHING_PROTOCOLS = 101;

/** What an answer says before its body. */
export interface ResponseHead {
  /** Of HTTP/1.x: the x. */
  readonly minorVersion: number;
  readonly status: number;
  /** The words behind the status, which may be none. */
  readonly reason: string;
  /** The values of all fields of a name, which is in lower case. */
  values(name: string): readonly string[];
}

/** Reads a head out of segments that may be cut anywhere. */
export interface ResponseHeadReader {
  /**
   * Takes the next segment.
   *
   * @returns the head, and what follows it in this segment; undefined as long as the head has not ended
   * @throws HttpFault RDPULL_NOT_HTTP, RDPULL_LONG_HEAD
   */
  take(segment: Uint8Array): { readonly head: ResponseHead; readonly rest: Uint8Array } | undefined;
}

/** The head of an answer by RFC 9112, section 4 and 5; interim answers before it are passed over. */
export function createResponseHeadReader(): ResponseHeadReader {
  const lines = createLineReader(
    HEAD_MAX,
    () => new HttpFault('RDPULL_LONG_HEAD', `the head is longer than ${HEAD_MAX} bytes`),
  );
  let statusLine: StatusLine | undefined;
  let fields = new Map<string, string[]>();
  /** Values of the field that was read last. */
  let last: string[] | undefined;
  let interim = 0;

  function takeLine(line: string): ResponseHead | undefined {
    if (statusLine === undefined) {
      statusLine = parseStatusLine(line);
      return undefined;
    }
    if (line !== '') {
      last = takeField(line, fields, last);
      return undefined;
    }
    const read = fields;
    const head = { ...statusLine, values: (name: string) => read.get(name) ?? [] };
    if (head.status >= 200) return head;
    if (head.status === SWITCHING_PROTOCOLS)
      throw notHttp('it goes over to a protocol that was not asked for');
    interim++;
    if (interim > INTERIM_MAX) throw notHttp(`more than ${INTERIM_MAX} interim answers`);
    statusLine = undefined;
    fields = new Map();
    last = undefined;
    return undefined;
  }

  return {
    take(segment) {
      for (let position = 0; position < segment.length; ) {
        const found = lines.read(segment, position);
        // What sends no lines at all, or keeps silent behind its first words, need not be waited for.
        if (statusLine === undefined) requireHttp(found?.line ?? lines.unfinished());
        if (found === undefined) return undefined;
        position = found.end;
        const head = takeLine(found.line);
        if (head !== undefined) return { head, rest: segment.subarray(position) };
      }
      return undefined;
    },
  };
}

type StatusLine = Omit<ResponseHead, 'values'>;

/** Refuses what cannot become a status line, as early as possible. */
function requireHttp(begun: string): void {
  const name = 'HTTP/';
  if (begun.slice(0, name.length) === name.slice(0, begun.length)) return;
  throw notHttp(`it begins with ${quoted(begun.slice(0, 40))}`);
}

/** RFC 9112, section 4. The space behind the status is left out by many, and may be. */
function parseStatusLine(line: string): StatusLine {
  const version = /^HTTP\/(\d)\.(\d)(?![^ ])/.exec(line);
  if (version?.[1] !== undefined && version[1] !== '1') {
    throw notHttp(`it is of version ${version[1]}.${version[2]}, and 1.1 was asked for`);
  }
  const match = /^HTTP\/1\.(\d) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/.exec(line);
  if (match === null) throw notHttp(`its first line is ${quoted(line.slice(0, 80))}`);
  const [, minor, status, reason = ''] = match;
  return { minorVersion: Number(minor), status: Number(status), reason: reason.trim() };
}

/**
 * Reads a field line (RFC 9112, section 5) into `fields`. One that begins with a space belongs to the field before it, as
 * it was once allowed (section 5.2), and is joined to its value.
 *
 * @param last the values of the field before it
 * @returns the values of its field
 * @throws HttpFault RDPULL_NOT_HTTP
 */
function takeField(line: string, fields: Map<string, string[]>, last: string[] | undefined): string[] {
  const folded = /^[\t ]+([\t\x20-\x7e\x80-\xff]*)$/.exec(line)?.[1];
  if (folded !== undefined) {
    const value = last?.pop();
    if (last === undefined || value === undefined) throw notHttp('its first header begins with a space');
    last.push(`${value} ${withoutSpace(folded)}`.trim());
    return last;
  }
  const { name, value } = parseField(line);
  const values = fields.get(name) ?? [];
  values.push(value);
  fields.set(name, values);
  return values;
}

/** One field line that begins with its name: no space before the colon, and no controls (RFC 9112, section 5.1). */
export function parseField(line: string): { readonly name: string; readonly value: string } {
  const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
  if (match === null) throw notHttp(`one of its headers is ${quoted(line.slice(0, 80))}`);
  const [, name = '', value = ''] = match;
  return { name: name.toLowerCase(), value: withoutSpace(value) };
}

/** Without the optional white space around it; \s would be more than that. */
function withoutSpace(value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && isSpace(value.charCodeAt(from))) from++;
  while (to > from && isSpace(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
