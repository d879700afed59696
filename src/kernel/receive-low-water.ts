import { libc } from './libc.ts';

/** include/uapi/asm-generic/socket.h */
const SOL_SOCKET = 1;
const SO_RCVLOWAT = 18;

const { setsockopt } = libc({
  setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
});

/**
 * Says how many bytes are to be there before whoever waits for a connection hears of them (socket(7)); its end and its failures are heard
 * at once, as always. It is a wish: nothing is lost where the kernel does not know it.
 *
 * @param bytes 1 is what a connection has from the start
 */
export function setReceiveLowWater(fd: number, bytes: number): void {
  const value = new Int32Array([bytes]);
  setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, value, value.byteLength);
}
