import dgram from 'node:dgram';

/** Codes of RFC 1035, section 4.1.1. */
const SERVFAIL = 2;

/**
 * A name server on this machine's loopback interface that knows every name as 10.0.2.2, which is this machine as a guest
 * sees it; but only when it has been asked for a while. Guests ask on port 53, and nowhere else.
 */
export class DnsServer implements AsyncDisposable {
  /** How often it has refused to answer. */
  failed = 0;
  /** How often it has told the address. */
  answered = 0;
  readonly #socket = dgram.createSocket('udp4');

  #firstQuery: number | undefined;

  private constructor(failing: number) {
    this.#socket.on('message', (query, { port, address }) => {
      this.#firstQuery ??= performance.now();
      const ready = performance.now() >= this.#firstQuery + failing;
      if (ready) this.answered += 1;
      else this.failed += 1;
      this.#socket.send(ready ? answer(query) : failure(query), port, address);
    });
  }

  /** @param failing how long it fails from the first query on, in ms */
  static async start(failing: number): Promise<DnsServer> {
    const server = new DnsServer(failing);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.#socket.once('error', reject);
    server.#socket.bind(53, '127.0.0.1', resolve);
    await promise;
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.close(resolve);
    await promise;
  }
}

/** The header and the question of a query, with other flags and one answer or none. */
function head(query: Buffer, code: number, answers: number): Buffer {
  let end = 12;
  while (query.readUInt8(end) !== 0) end += query.readUInt8(end) + 1;
  const copy = Buffer.from(query.subarray(0, end + 5));
  // A response, with recursion desired and available.
  copy.writeUInt16BE(0x8180 | code, 2);
  copy.writeUInt16BE(1, 4);
  copy.writeUInt16BE(answers, 6);
  copy.writeUInt32BE(0, 8);
  return copy;
}

function failure(query: Buffer): Buffer {
  return head(query, SERVFAIL, 0);
}

function answer(query: Buffer): Buffer {
  const question = head(query, 0, 1);
  const isAddress = question.readUInt16BE(question.length - 4) === 1;
  if (!isAddress) return head(query, 0, 0);
  // The name as a pointer to the question; A, IN, 1 s, 4 bytes.
  return Buffer.concat([question, Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 2, 2])]);
}
