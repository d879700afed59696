/** Chunks that are shorter are worth a wait. */
const SHORT = 64 * 1024;

/** How long more is waited for, in ms. */
const PAUSE = 2;

/** What has come before the first wait, in bytes: a small file is read as it comes, and the kernel has made its buffer large enough. */
const AT_FIRST = 1024 * 1024;

/** From so many bytes a ms on, a wait would cost more than it saves, and fill the kernel's buffer. */
const FAST = 150_000;

/**
 * Each chunk of a body costs its way through all that handles it, however short it is. Where they are short, because the link is slower than
 * this machine, or comes to it packet by packet, the connection is not read for a moment, and what has come meanwhile is one chunk.
 */
export interface Gathering {
  /** Nothing is to be read now. */
  readonly isOn: boolean;
  /** A chunk has come. Returns whether the next one is to be waited for, from now on. */
  begins(length: number): boolean;
  /** The body has ended. */
  end(): void;
}

/** @param over called when there is enough to read again, or should be */
export function createGathering(over: () => void): Gathering {
  let timer: Timer | undefined;
  let begun: number | undefined;
  let received = 0;
  return {
    get isOn() {
      return timer !== undefined;
    },
    begins(length) {
      begun ??= performance.now();
      received += length;
      if (length >= SHORT || timer !== undefined) return false;
      if (received < AT_FIRST || received > FAST * (performance.now() - begun)) return false;
      timer = setTimeout(() => {
        timer = undefined;
        over();
      }, PAUSE);
      return true;
    },
    end() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
