import type net from 'node:net';
import { createCountedBody } from './counted-body.ts';
import { createHeadRecord } from './head-record.ts';
import { HttpFault, notHttp } from './http-fault.ts';
import { refusedLine } from './refused-line.ts';
import { parserOf } from './undici-parser.ts';

/** llhttp has taken a head, and its body follows: the answer of on_headers_complete (llhttp.h). */
const BODY_FOLLOWS = 0;

/** What may stand between two chunks, in bytes. */
const SIZE_LINE_MAX = 4096;

const CONTINUE = 100;
const PROCESSING = 102;

const NOTHING = Buffer.alloc(0);

/**
 * Makes undici take the answers on a connection as they are meant here, where it would do otherwise:
 *
 * - Lines of a head may end with LF alone, as for every other client (RFC 9112, section 2.2). The connection is then not used
 *   again, so that what somebody has put into a header cannot become the next answer. Not so in a chunked body, where one on the
 *   way may see another end.
 * - 100 (Continue) may come, though nobody has asked for it (RFC 9110, section 15.2).
 * - What can be read in two ways is refused, and so is another version than 1.x.
 * - All heads of an answer together are bounded, and what stands between chunks.
 * - A Content-Length may have white space behind it, which undici takes for another digit.
 * - The words behind the status are put together, where they come in parts, and are ISO 8859-1.
 * - A connection that was lost is not the end of a body that has no other.
 * - What is refused is shown.
 *
 * The connection has to be undici's already, and nothing may have come over it.
 */
export function adaptParser(socket: net.Socket): void {
  const parser = parserOf(socket);
  const { llhttp } = parser;
  const { execute, finish, onHeadersComplete, onMessageComplete } = parser;
  const takeLoneLf = (taken: boolean) =>
    llhttp.llhttp_set_lenient_optional_cr_before_lf(parser.ptr, taken ? 1 : 0);
  const end = watchEnd(socket);
  const body = createCountedBody(parser);
  let head = createHeadRecord();
  /** Bytes since the last one of the body, which may be all of the line with the size of a chunk. */
  let between = 0;
  let present: Buffer = NOTHING;

  takeLoneLf(true);
  llhttp.llhttp_set_lenient_spaces_after_chunk_size(parser.ptr, 1);

  parser.execute = (chunk) => {
    if (body.isOpen) {
      const behind = body.take(chunk);
      if (behind.length > 0) parser.execute(behind);
      return;
    }
    // The rest of a chunk whose reader has given its memory back is none.
    present = chunk.length === 0 ? NOTHING : chunk;
    const wasInBody = head.isComplete;
    const before = wasInBody ? parser.bytesRead : 0;
    if (!wasInBody) head.add(present);
    execute.call(parser, present);
    if (!head.isComplete || parser.bytesRead > before) between = 0;
    else between += wasInBody ? present.length : head.length;
    if (between > SIZE_LINE_MAX && parser.headers.length === 0)
      socket.destroy(notHttp('the size of a chunk is too long a line'));
  };

  parser.onStatus = (part) => {
    parser.statusText += part.toString('latin1');
    parser.trackHeader(part.length);
    return 0;
  };

  parser.onHeadersComplete = (status, upgrade, keepAlive) => {
    try {
      const { hasLoneLf, length = -1 } = head.end(parser, status);
      parser.contentLength = length;
      if (head.isComplete) takeLoneLf(false);
      const taken = status === CONTINUE ? PROCESSING : status;
      const answer = onHeadersComplete.call(parser, taken, upgrade, keepAlive && !hasLoneLf);
      if (head.isComplete && answer === BODY_FOLLOWS) body.begin();
      return answer;
    } catch (error) {
      socket.destroy(error instanceof Error ? error : new Error(String(error)));
      return -1;
    }
  };

  parser.onMessageComplete = () => {
    body.end();
    if (head.isComplete) {
      head = createHeadRecord();
      takeLoneLf(true);
    }
    return onMessageComplete.call(parser);
  };

  parser.finish = () => {
    const lost = end.lost();
    if (lost !== undefined) return lost;
    if (finish.call(parser) === null) return null;
    return new HttpFault('RDPULL_CLOSED', 'the connection was closed within the answer');
  };

  parser.createError = (_, rest) => {
    const words = Buffer.from(llhttp.memory.buffer, llhttp.llhttp_get_error_reason(parser.ptr));
    const reason = words.toString('latin1', 0, words.indexOf(0));
    const text = head.isComplete ? present.toString('latin1') : head.text;
    const length = head.isComplete ? text.length : head.length;
    return notHttp(refusedLine(reason, text, length - rest.length, !head.isComplete));
  };
}

/** How a connection has come to its end; undici does not tell that from the end of an answer that has no other. */
function watchEnd(socket: net.Socket): { lost(): Error | undefined } {
  let loss: Error | undefined;
  let isOver = false;
  // Before undici hears of it.
  socket.prependListener('error', (error) => {
    loss ??= error;
  });
  socket.prependListener('end', () => {
    isOver = true;
  });
  return {
    lost: () => loss ?? (isOver ? undefined : new HttpFault('RDPULL_CLOSED', 'the connection was closed')),
  };
}
