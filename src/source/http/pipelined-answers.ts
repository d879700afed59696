import { printable, quoted } from '../../console/printable.ts';
import { HEAD_MAX } from './head-record.ts';
import { HttpFault, notHttp } from './http-fault.ts';
import { withoutSpace } from './response-head.ts';

/** The answer to a request, all of it. */
export interface PipelinedAnswer {
  readonly status: number;
  /** Valid until the next one is taken. */
  readonly body: Uint8Array;
  /** The server says that it closes the connection behind it. */
  readonly isLast: boolean;
}

/** Takes apart what comes over a connection on which requests are sent without waiting for the answers to those before them. */
export interface PipelinedAnswers {
  /** One more answer is to come, with a body of so many bytes at most. */
  expect(most: number): void;
  /** How many are still to come. */
  readonly awaited: number;
  /**
   * @throws HttpFault RDPULL_NOT_HTTP, RDPULL_LONG_HEAD: of anything but a plain answer with a length, as for a small file. There is no
   *   going on behind that: where one answer ends and the next begins would be a guess, and what is guessed can be forged.
   */
  add(chunk: Buffer): void;
}

interface Head extends Omit<PipelinedAnswer, 'body'> {
  readonly length: number;
}

const END_OF_HEAD = '\r\n\r\n';

/** RFC 9112, section 4 and 5, and no more than that: no folded lines, no space before a colon, no lone CR or LF, no controls. */
const HEAD =
  /^HTTP\/1\.1 (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n((?:[!#$%&'*+.^_`|~\w-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n$/;
const LENGTH = /^content-length:(.*)\r$/im;
const ALL_LENGTHS = new RegExp(LENGTH, 'gim');
/** What makes the end of a body something else than its length says. */
const OTHER_END = /^(?:transfer-encoding|upgrade|trailer):/im;
const CLOSES = /^connection:.*\bclose\b/im;

/** Of these a body follows as long as the head says, to a GET. */
const FIRST_FINAL = 200;
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** @param take gets each answer as soon as all of it is there, in the order of the requests; what it throws goes to who has added the chunk */
export function createPipelinedAnswers(take: (answer: PipelinedAnswer) => void): PipelinedAnswers {
  /** What each answer that is to come may be long. */
  const awaited: number[] = [];
  let head: Head | undefined;
  /** What has come of the present head or body in an earlier chunk. */
  let kept = Buffer.alloc(0);
  let filled = 0;

  function keep(chunk: Buffer, from: number, to: number, room: number): void {
    if (kept.length < room) {
      const larger = Buffer.alloc(room);
      kept.copy(larger, 0, 0, filled);
      kept = larger;
    }
    filled += chunk.copy(kept, filled, from, to);
  }

  function begin(text: string): void {
    const [most = 0] = awaited;
    head = parseHead(text, most);
    filled = 0;
    if (head.length === 0) end(Buffer.alloc(0));
  }

  function end(body: Uint8Array): void {
    if (head === undefined) throw new Error('no answer has begun');
    const { status, isLast } = head;
    head = undefined;
    filled = 0;
    awaited.shift();
    take({ status, body, isLast });
  }

  /** @returns where what follows begins */
  function takeHead(chunk: Buffer, at: number): number {
    if (awaited.length === 0) throw notHttp('more comes than was asked for');
    if (filled === 0) {
      const found = chunk.indexOf(END_OF_HEAD, at, 'latin1');
      const next = found + END_OF_HEAD.length;
      if (found >= 0 && next - at <= HEAD_MAX) {
        begin(chunk.toString('latin1', at, next));
        return next;
      }
    }
    const before = filled;
    keep(chunk, at, Math.min(chunk.length, at + HEAD_MAX - filled), HEAD_MAX);
    const found = kept.subarray(0, filled).indexOf(END_OF_HEAD, Math.max(0, before - 3), 'latin1');
    if (found < 0 && filled === HEAD_MAX)
      throw new HttpFault('RDPULL_LONG_HEAD', `the head is longer than ${HEAD_MAX} bytes`);
    if (found < 0) return chunk.length;
    const next = found + END_OF_HEAD.length;
    begin(kept.toString('latin1', 0, next));
    return at + next - before;
  }

  /** @returns where what follows begins */
  function takeBody(chunk: Buffer, at: number, length: number): number {
    if (filled === 0 && chunk.length - at >= length) {
      end(chunk.subarray(at, at + length));
      return at + length;
    }
    const next = Math.min(chunk.length, at + length - filled);
    keep(chunk, at, next, length);
    if (filled === length) end(kept.subarray(0, length));
    return next;
  }

  return {
    expect: (most) => void awaited.push(most),
    get awaited() {
      return awaited.length;
    },
    add(chunk) {
      for (let at = 0; at < chunk.length; )
        at = head === undefined ? takeHead(chunk, at) : takeBody(chunk, at, head.length);
    },
  };
}

/**
 * @param text as ISO 8859-1, with the empty line behind it
 * @param most bytes of a body
 */
function parseHead(text: string, most: number): Head {
  const [, code, fields = ''] = HEAD.exec(text) ?? [];
  if (code === undefined) throw notHttp(`it is ${quoted(text.slice(0, 80))}`);
  const status = Number(code);
  if (status < FIRST_FINAL || WITHOUT_BODY.has(status)) throw notHttp(`its status is ${status}`);
  if (OTHER_END.test(fields)) throw notHttp('its end is another one than its length says');
  const length = onlyLength(fields);
  if (length > most) throw notHttp(`its body is of ${length} bytes, and ${most} are the most`);
  return { status, length, isLast: CLOSES.test(fields) };
}

/** @throws HttpFault RDPULL_NOT_HTTP: there is none, or more than one */
function onlyLength(fields: string): number {
  const found = LENGTH.exec(fields);
  const [line, value] = found ?? [];
  const length = value === undefined ? undefined : withoutSpace(value);
  const isOnly = line !== undefined && !LENGTH.test(fields.slice((found?.index ?? 0) + line.length));
  if (isOnly && length !== undefined && /^\d{1,15}$/.test(length)) return Number(length);
  const all = Array.from(fields.matchAll(ALL_LENGTHS), ([, each = '']) => withoutSpace(each));
  throw notHttp(`its Content-Length is ${printable(all.length === 0 ? 'missing' : all.join(' and '))}`);
}
