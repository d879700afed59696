import { RdpullError } from '../console/rdpull-error.ts';

/** The error for a UKI, or an initrd in one, that is not as its format says. `why` ends its message. */
export function malformedUki(why: string): RdpullError {
  return new RdpullError(
    'uki-malformed',
    `the UKI cannot be read: ${why}`,
    'check that the file is complete, or build it again: ukify build, mkosi',
  );
}
