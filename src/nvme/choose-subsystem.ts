import { RdpullError } from '../console/rdpull-error.ts';
import { type Portal, shownPortal } from './portal.ts';

/** How many names a message lists. */
const LISTED_MAX = 16;

/**
 * The subsystem that is meant: the one whose name ends in that of the image, else the only one.
 *
 * @param nqns what the server has
 * @param names what the image may be called, best first: `image`
 * @throws RdpullError nvme-subsystem-unknown, nvme-subsystem-ambiguous
 */
export function chooseSubsystem(nqns: readonly string[], names: readonly string[], portal: Portal): string {
  const different = [...new Set(nqns)];
  for (const name of names) {
    const [only, ...others] = different.filter((nqn) => endsIn(nqn, name));
    if (only !== undefined && others.length === 0) return only;
    if (only !== undefined) throw ambiguous([only, ...others], `end in ${name}`, portal);
  }
  const [only, ...others] = different;
  if (only !== undefined && others.length === 0) return only;
  if (only === undefined) {
    throw new RdpullError(
      'nvme-subsystem-unknown',
      `${shownPortal(portal)}: the server has no subsystem for this machine`,
      'look at the target: does it serve an image, and is this machine allowed to have it?',
    );
  }
  const why = names.length === 0 ? 'are there' : `are there, and none ends in ${names.join(' or ')}`;
  throw ambiguous(different, why, portal);
}

/** `...:storagetm.ID.image.raw` ends in `image`, and `...:my-image.raw` does not. */
function endsIn(nqn: string, name: string): boolean {
  return [name, `${name}.raw`, `${name}.img`].some(
    (end) => nqn.endsWith(`.${end}`) || nqn.endsWith(`:${end}`),
  );
}

function ambiguous(nqns: readonly string[], why: string, portal: Portal): RdpullError {
  return new RdpullError(
    'nvme-subsystem-ambiguous',
    `${shownPortal(portal)}: ${nqns.length} subsystems ${why}: ${listed(nqns)}`,
    'name one in the URL: nvme+tcp://HOST:PORT/SUBSYSTEM-NQN',
  );
}

/** Names for a message. */
export function listed(nqns: readonly string[]): string {
  const more = nqns.length > LISTED_MAX ? ` and ${nqns.length - LISTED_MAX} more` : '';
  return `${nqns.slice(0, LISTED_MAX).join(', ')}${more}`;
}
