import { printable } from '../../console/printable.ts';
import { RdpullError } from '../../console/rdpull-error.ts';
import type { RootOverlay } from '../../request/root-overlay.ts';

const IN_MEMORY = 'overlay=tmpfs goes on in memory, and a ? behind the device does so whenever it fails';

/** What says that nothing can be written there: why, a clause, and what to try. */
export function unusable(where: RootOverlay, why: string, hint: string, cause?: unknown): RdpullError {
  const [place, instead] =
    where.kind === 'memory' ? ['memory', ''] : [printable(where.name), `; ${IN_MEMORY}`];
  const message = `what is written to the root cannot go to ${place}: ${why}`;
  return new RdpullError('overlay-unusable', message, hint + instead, { cause });
}
