import net from 'node:net';
import { freePort } from '../fixtures/daemon.ts';

/** NVM Express TCP Transport Specification, 3.6: types of PDUs, and the bits that say which digests there are. */
const INITIALIZE = { request: 0x00, response: 0x01, size: 128, digests: 11 } as const;
const HEADER_DIGEST = 1;
const DATA_DIGEST = 2;
export const BOTH_DIGESTS = HEADER_DIGEST | DATA_DIGEST;

/** Bytes of the head that all PDUs have, and where the length of the whole is in it. */
const HEAD = { size: 8, type: 0, flags: 1, length: 4 } as const;

/** Those that carry data, besides commands: H2CData, C2HData. */
const DATA: readonly number[] = [0x06, 0x07];
const COMMANDS: readonly number[] = [0x04, 0x05, 0x09];

/** What went over one connection. */
export interface RelayedConnection {
  /** The digests that the host has asked for, and that the target has granted; undefined until then. */
  asked: number | undefined;
  granted: number | undefined;
  /** How many commands, answers and requests for data there were, and of these, how many had a digest over the head; likewise of data. */
  commands: number;
  commandsWithDigest: number;
  data: number;
  dataWithDigests: number;
}

/** Stands between a host and a target, and looks at each PDU that passes. */
export class NvmeRelay implements AsyncDisposable {
  readonly connections: RelayedConnection[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #server: net.Server;

  private constructor(
    readonly port: number,
    server: net.Server,
  ) {
    this.#server = server;
  }

  /**
   * Listens on a port of its own, at all addresses of the loopback.
   *
   * @param target where it leads to, on this machine
   * @param hasDigests false: the host's wish for digests does not reach the target, as if that had none
   */
  static async start(target: number, { hasDigests }: { readonly hasDigests: boolean }): Promise<NvmeRelay> {
    const server = net.createServer();
    const port = await freePort();
    const relay = new NvmeRelay(port, server);
    server.on('connection', (socket) => relay.#relay(socket, target, hasDigests));
    await new Promise<void>((resolve) => server.listen(port, '::', resolve));
    return relay;
  }

  #relay(host: net.Socket, target: number, hasDigests: boolean): void {
    const connection: RelayedConnection = {
      asked: undefined,
      granted: undefined,
      commands: 0,
      commandsWithDigest: 0,
      data: 0,
      dataWithDigests: 0,
    };
    this.connections.push(connection);
    const upstream = net.connect(target, '127.0.0.1');
    for (const [from, to] of [
      [host, upstream],
      [upstream, host],
    ] as const) {
      this.#sockets.add(from);
      const read = pduReader((pdu) => look(pdu, connection, hasDigests));
      from.on('data', (bytes: Buffer) => to.write(read(bytes)));
      from.on('close', () => to.destroy());
      from.on('error', () => to.destroy());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Takes note of a PDU; its first bytes may be changed. */
function look(pdu: Buffer, connection: RelayedConnection, hasDigests: boolean): void {
  const type = pdu.readUInt8(HEAD.type);
  const digests = pdu.readUInt8(HEAD.flags) & BOTH_DIGESTS;
  if (type === INITIALIZE.request) {
    connection.asked = pdu.readUInt8(INITIALIZE.digests);
    if (!hasDigests) pdu.writeUInt8(0, INITIALIZE.digests);
  } else if (type === INITIALIZE.response) {
    connection.granted = pdu.readUInt8(INITIALIZE.digests);
  } else if (COMMANDS.includes(type)) {
    connection.commands++;
    if ((digests & HEADER_DIGEST) !== 0) connection.commandsWithDigest++;
  } else if (DATA.includes(type)) {
    connection.data++;
    if (digests === BOTH_DIGESTS) connection.dataWithDigests++;
  }
}

/**
 * Cuts a stream into PDUs.
 *
 * @param take gets the first bytes of each: all of the first one of a connection, and the head of the others
 * @returns a function that takes what comes, and returns what goes on
 */
function pduReader(take: (start: Buffer) => void): (bytes: Buffer) => Buffer {
  let waiting = Buffer.alloc(0);
  // Of the PDU of which the start is gone.
  let rest = 0;
  return (bytes) => {
    const buffer = Buffer.concat([waiting, bytes]);
    let at = Math.min(rest, buffer.length);
    rest -= at;
    while (rest === 0 && at < buffer.length) {
      const isFirst = buffer.length - at >= HEAD.size && buffer.readUInt8(at) <= INITIALIZE.response;
      const needed = isFirst ? INITIALIZE.size : HEAD.size;
      if (buffer.length - at < needed) break;
      const start = buffer.subarray(at, at + needed);
      take(start);
      const end = at + start.readUInt32LE(HEAD.length);
      rest = Math.max(0, end - buffer.length);
      at = Math.min(end, buffer.length);
    }
    waiting = Buffer.from(buffer.subarray(at));
    return buffer.subarray(0, at);
  };
}
