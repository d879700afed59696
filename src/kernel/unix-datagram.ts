import fs from 'node:fs';
import { checked, cString, libc, retryInterrupted } from './libc.ts';

/** include/linux/socket.h, include/linux/net.h, asm-generic/socket.h. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;
const MSG_NOSIGNAL = 0x4000;
const TIOCOUTQ = 0x5411; // asm-generic/ioctls.h; SIOCOUTQ of linux/sockios.h is the same

/** sizeof(sun_path), include/uapi/linux/un.h: UNIX_PATH_MAX. */
const UNIX_PATH_MAX = 108;
const SUN_PATH_OFFSET = 2;

/** How long a full queue of the receiver may hold a message up, in s: less than it takes to notice. */
const SEND_TIMEOUT = 1;

const symbols = libc({
  ioctl: { args: ['i32', 'u64', 'ptr'], returns: 'i32' },
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
  sendto: { args: ['i32', 'ptr', 'u64', 'i32', 'ptr', 'u32'], returns: 'i64' },
});

/** The way to a daemon that reads datagrams: the service manager (sd_notify(3)), or the journal. */
export class UnixDatagram implements Disposable {
  readonly #descriptor: number;
  readonly #address: Uint8Array;

  /**
   * @param address the path of a socket, or `@` and the name of an abstract one (unix(7))
   * @throws Error when it is neither, or too long; SystemCallError
   */
  constructor(address: string) {
    this.#address = socketAddress(address);
    this.#descriptor = checked('socket', symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const timeval = new BigInt64Array([BigInt(SEND_TIMEOUT), 0n]);
    symbols.setsockopt(this.#descriptor, SOL_SOCKET, SO_SNDTIMEO, timeval, timeval.byteLength);
  }

  /** Sends one message, which may not be longer than net.core.wmem_default (208 KiB). @throws SystemCallError */
  send(message: string | Uint8Array): void {
    const bytes = typeof message === 'string' ? Buffer.from(message) : message;
    retryInterrupted(() =>
      checked(
        'sendto',
        symbols.sendto(
          this.#descriptor,
          bytes,
          BigInt(bytes.length),
          MSG_NOSIGNAL,
          this.#address,
          this.#address.length,
        ),
      ),
    );
  }

  /** Whether the receiver, which is still there, has yet to read something of what was sent. @throws SystemCallError */
  get isUnread(): boolean {
    const bytes = new Int32Array(1);
    checked('ioctl(SIOCOUTQ)', symbols.ioctl(this.#descriptor, TIOCOUTQ, bytes));
    return bytes[0] !== 0;
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.#descriptor);
  }
}

/** struct sockaddr_un: the family, then a terminated path, or a NUL and a name that is not terminated. */
function socketAddress(address: string): Uint8Array {
  if (!/^[/@]./.test(address)) throw new Error(`${address} is neither a path nor an abstract socket`);
  const path = address.startsWith('@') ? Buffer.from(`\0${address.slice(1)}`) : cString(address);
  if (path.length > UNIX_PATH_MAX) throw new Error(`${address} is longer than a socket's name may be`);
  const bytes = Buffer.alloc(SUN_PATH_OFFSET + path.length);
  bytes.writeUInt16LE(AF_UNIX, 0);
  bytes.set(path, SUN_PATH_OFFSET);
  return bytes;
}
