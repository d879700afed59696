import { RdpullError } from '../../console/rdpull-error.ts';
import type { FromMaker, ToMaker } from './messages.ts';

/** Where an image is made. */
export interface Maker {
  send(message: ToMaker): void;
  /** After 'closed': nothing more is asked of it. */
  leave(): void;
}

/** Who hears of it. */
export interface MakerListener {
  receive(message: FromMaker): void;
  /** The maker itself has come to its end. */
  broken(error: RdpullError): void;
}

/** How long a thread that has let go of everything may be there, in ms. */
const THREAD_LINGERS = 200;

/** A thread of its own, which comes up while the first bytes arrive. */
export function threadMaker({ receive, broken }: MakerListener): Maker {
  const worker = new Worker(new URL('./worker.ts', import.meta.url).href);
  worker.onmessage = ({ data }: MessageEvent<FromMaker>) => receive(data);
  worker.onerror = (event) => broken(RdpullError.from(event.error ?? new Error(event.message)));
  return {
    send: (message) => worker.postMessage(message),
    leave() {
      // Its thread collects all of its garbage as it ends, a tenth of a pull of 1 KiB: not before a process that ends anyway.
      worker.unref();
      setTimeout(() => worker.terminate(), THREAD_LINGERS).unref();
    },
  };
}

/** This thread: for what is done before another one would be there. */
export function localMaker({ receive }: MakerListener): Maker {
  const maker = import('./image-maker.ts').then(({ ImageMaker }) => new ImageMaker(receive));
  return {
    send: (message) => void maker.then((loaded) => loaded.receive(message)),
    leave: () => undefined,
  };
}
