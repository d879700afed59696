import type net from 'node:net';
import { setReceiveLowWater } from '../../kernel/receive-low-water.ts';

/** What has come before anything is waited for, in bytes: a small file is read as it comes. */
const AT_FIRST = 1024 * 1024;

/** What is waited for: so much as comes in this time, in ms, but no more than the runtime reads at once, in bytes. */
const SPAN = 200;
const MOST = 512 * 1024;
/** Less, in bytes, is not worth a wait. */
const LEAST = 8 * 1024;

/** From so many bytes a ms on, much is there anyway, and a wait would only cost. */
const FAST = 150_000;

/** When nothing has come for so long, in ms, what is there is taken. */
const PATIENCE = 100;

/** A smaller change than by this factor is not worth a system call. */
const CHANGE = 1.5;

/**
 * Each chunk of a body costs its way through all that handles it, and before that each packet its way through the runtime's sockets, however
 * short it is. So the kernel is asked to say nothing until there is enough, where much is still to come.
 */
export interface LowWater {
  /**
   * Bytes of a body have come.
   *
   * @param left how many are still to come
   */
  arrived(length: number, left: number): void;
  /** The body has ended. */
  end(): void;
}

export function createLowWater(socket: net.Socket): LowWater {
  let mark = 1;
  let begun: number | undefined;
  let received = 0;
  let receivedAtLast = 0;
  let watch: Timer | undefined;

  function set(bytes: number): void {
    if (bytes === mark) return;
    mark = bytes;
    const fd = descriptor(socket);
    if (fd !== undefined) setReceiveLowWater(fd, bytes);
    if (mark === 1) {
      clearInterval(watch);
      watch = undefined;
    } else watch ??= setInterval(look, PATIENCE);
  }

  /** Whoever waits for less than is wanted is not to wait for long. */
  function look(): void {
    if (receivedAtLast === received || socket.destroyed) set(1);
    receivedAtLast = received;
  }

  return {
    arrived(length, left) {
      begun ??= performance.now();
      received += length;
      if (received < AT_FIRST) return;
      const rate = received / (performance.now() - begun);
      const wanted = Math.min(Math.floor(rate * SPAN), MOST, left);
      if (wanted < LEAST || rate > FAST) set(1);
      else if (mark > left || mark === 1 || wanted > mark * CHANGE || wanted < mark / CHANGE) set(wanted);
    },
    end() {
      set(1);
      begun = undefined;
      received = 0;
    },
  };
}

/** That of a connection without TLS, whose bytes are those of the body. The runtime tells it, though no documentation does. */
function descriptor(socket: net.Socket): number | undefined {
  const fd: unknown = Reflect.get(Reflect.get(socket, '_handle') ?? {}, 'fd');
  return typeof fd === 'number' && fd >= 0 && !('encrypted' in socket) ? fd : undefined;
}
