import net from 'node:net';
import type { Portal } from './kernel-target.ts';

/*
 * The target of the kernel has no attribute by which hosts are told that a namespace is read-only. It has a feature for it, which a
 * host sets. So rdpull is that host for a moment: NVM Express Base Specification 2.0, NVMe over TCP transport 1.0.
 */

/** PDU types: transport specification, section 3.6. Lengths in bytes. */
const IC_REQ = 0;
const IC_RESP = 1;
const CAPSULE_CMD = 4;
const CAPSULE_RESP = 5;
const HEADER = 8;
const IC_LENGTH = 128;
const COMMAND_LENGTH = 64;
const CONNECT_DATA = 1024;

/** A PDU that is longer is none that was asked for. */
const PDU_MAX = 4096;

/** Opcodes: base specification, sections 3.1.4 and 6. */
const FABRICS = 0x7f;
const CONNECT = 1;
const PROPERTY_SET = 0;
const SET_FEATURES = 9;

/** The descriptor of data is an SGL, always so over fabrics; of data in the capsule, and of none: section 4.1.2. */
const USES_SGL = 0x40;
const SGL_IN_CAPSULE = 0x01;
const SGL_TRANSPORT = 0x5a;

/** Controller configuration: enabled, with entries of 2^6 and 2^4 bytes in its queues (section 3.1.3.5). */
const CC = 0x14;
const CC_ENABLE = 0x0046_0001;

/** Namespace write protection (section 5.27.1.31), and what it is set to. */
const FEATURE_WRITE_PROTECT = 0x84;
const WRITE_PROTECT = 1;

/** A dynamic controller, which the target chooses. */
const ANY_CONTROLLER = 0xffff;
const QUEUE_SIZE = 31;

/** The target is this machine, in ms. */
const PATIENCE = 5000;

/**
 * Has the target tell hosts that a namespace is read-only, for as long as it is enabled. Hosts could take that back: it keeps nobody
 * from writing, it lets machines mount what they get as what it is.
 *
 * @throws Error with what the target or the network says
 */
export async function writeProtect(nqn: string, namespace: number, portal: Portal): Promise<void> {
  await using connection = await Connection.open(portal);
  await connection.command(connectCommand(), connectData(nqn));
  await connection.command(
    fabricsCommand(PROPERTY_SET, (view) => {
      view.setUint32(44, CC, true);
      view.setUint32(48, CC_ENABLE, true);
    }),
  );
  await connection.command(
    command(SET_FEATURES, (view) => {
      view.setUint32(4, namespace, true);
      view.setUint32(40, FEATURE_WRITE_PROTECT, true);
      view.setUint32(44, WRITE_PROTECT, true);
    }),
  );
}

/** The admin queue of a target. */
class Connection implements AsyncDisposable {
  readonly #socket: net.Socket;
  readonly #chunks: AsyncIterator<Buffer>;
  #received = Buffer.alloc(0);

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.#chunks = socket[Symbol.asyncIterator]();
  }

  static async open({ address, port }: Portal): Promise<Connection> {
    const socket = net.connect({ host: ownAddress(address), port, timeout: PATIENCE });
    // What reads is told of an error.
    socket.on('error', () => undefined);
    socket.on('timeout', () => socket.destroy(new Error(`no answer for ${PATIENCE / 1000} s`)));
    const connection = new Connection(socket);
    try {
      const request = Buffer.alloc(IC_LENGTH);
      writeHeader(request, IC_REQ, IC_LENGTH, 0);
      socket.write(request);
      await connection.#receive(IC_RESP);
      return connection;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Sends a command, with data that goes along, and waits until it has succeeded. */
  async command(entry: Uint8Array, data: Uint8Array = new Uint8Array()): Promise<void> {
    const length = HEADER + COMMAND_LENGTH;
    const pdu = Buffer.alloc(length + data.length);
    writeHeader(pdu, CAPSULE_CMD, length, data.length === 0 ? 0 : length);
    pdu.set(entry, HEADER);
    pdu.set(data, length);
    this.#socket.write(pdu);
    const response = await this.#receive(CAPSULE_RESP);
    // Bit 0 is the phase tag.
    const status = response.readUInt16LE(HEADER + 14) >> 1;
    if (status !== 0) throw new Error(`status 0x${status.toString(16)}`);
  }

  async #receive(type: number): Promise<Buffer> {
    const header = await this.#bytes(HEADER);
    const [found, length] = [header.readUInt8(0), header.readUInt32LE(4)];
    if (found !== type || length < HEADER || length > PDU_MAX) throw new Error(`a PDU of type ${found}`);
    const pdu = await this.#bytes(length);
    this.#received = this.#received.subarray(length);
    return pdu;
  }

  /** The next bytes, which stay. */
  async #bytes(length: number): Promise<Buffer> {
    while (this.#received.length < length) {
      const { done, value } = await this.#chunks.next();
      if (done === true) throw new Error('the connection has ended');
      this.#received = Buffer.concat([this.#received, value]);
    }
    return this.#received.subarray(0, length);
  }

  /** The controller goes with its connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#socket.destroy();
    await closed;
  }
}

/** Where something that listens on `address` is reached from here. */
function ownAddress(address: string): string {
  return { '::': '::1', '0.0.0.0': '127.0.0.1' }[address] ?? address;
}

function writeHeader(pdu: Buffer, type: number, length: number, dataOffset: number): void {
  pdu.writeUInt8(type, 0);
  pdu.writeUInt8(length, 2);
  pdu.writeUInt8(dataOffset, 3);
  pdu.writeUInt32LE(pdu.length, 4);
}

function command(opcode: number, fill: (view: DataView) => void): Uint8Array {
  const entry = new Uint8Array(COMMAND_LENGTH);
  const view = new DataView(entry.buffer);
  view.setUint8(0, opcode);
  view.setUint8(1, USES_SGL);
  view.setUint8(39, SGL_TRANSPORT);
  fill(view);
  return entry;
}

function fabricsCommand(type: number, fill: (view: DataView) => void): Uint8Array {
  return command(FABRICS, (view) => {
    view.setUint8(4, type);
    fill(view);
  });
}

function connectCommand(): Uint8Array {
  return fabricsCommand(CONNECT, (view) => {
    view.setUint32(32, CONNECT_DATA, true);
    view.setUint8(39, SGL_IN_CAPSULE);
    view.setUint16(44, QUEUE_SIZE, true);
  });
}

/** Who connects, and to what: base specification, section 6.3. */
function connectData(nqn: string): Uint8Array {
  const data = Buffer.alloc(CONNECT_DATA);
  const host = crypto.randomUUID();
  data.set(Buffer.from(host.replaceAll('-', ''), 'hex'), 0);
  data.writeUInt16LE(ANY_CONTROLLER, 16);
  data.write(nqn, 256);
  data.write(`nqn.2014-08.org.nvmexpress:uuid:${host}`, 512);
  return data;
}
