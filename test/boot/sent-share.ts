import type { Guest } from './guest.ts';
import type { ImageServer } from './image-server.ts';
import type { Lab } from './lab.ts';

/** Of an image that is read on demand: what the server has sent of it, at some moment of a boot. */
export interface Sent {
  /** Since the machine was switched on. */
  readonly seconds: number;
  readonly bytes: number;
  /** Of the file as served: 1 is all of it. */
  readonly share: number;
  readonly requests: number;
}

/** Takes a note of it: `sent('root mounted')`. */
export type NoteSent = (when: string) => Sent;

/** What a machine has got of a file that is served, for the lines below the table. @param size bytes of it */
export function notesOf(
  lab: Lab,
  guest: Guest,
  server: ImageServer,
  { served, size }: { readonly served: string; readonly size: number },
): NoteSent {
  return (when) => {
    const requests = server.requests.filter(({ name, begun }) => name === served && begun > guest.begun);
    const bytes = requests.reduce((sum, each) => sum + each.bytes, 0);
    const sent = { seconds: guest.seconds(), bytes, share: bytes / size, requests: requests.length };
    lab.notes.push(
      `${sent.seconds.toFixed(1)} s: ${when}, ${bytes} of ${size} bytes sent (${percent(sent.share)}), ${sent.requests} requests`,
    );
    return sent;
  };
}

/** @param share 1 is all */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
