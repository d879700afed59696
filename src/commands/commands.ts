import { attach } from './attach.ts';
import { bootEntry } from './boot-entry.ts';
import { cache } from './cache.ts';
import { check } from './check.ts';
import type { Command, CommandSummary } from './command.ts';
import { detach } from './detach.ts';
import { freeInitramfs } from './free-initramfs.ts';
import { origin } from './origin.ts';
import { overlay } from './overlay.ts';
import { pull } from './pull.ts';
import { reportRoot } from './report-root.ts';
import { serve } from './serve.ts';
import { status } from './status.ts';
import { verify } from './verify.ts';

/** What a person can ask for. */
export const COMMANDS: readonly Command[] = [
  pull,
  attach,
  detach,
  overlay,
  verify,
  check,
  status,
  cache,
  origin,
  serve,
  bootEntry,
  freeInitramfs,
  reportRoot,
];

/** Speaks to systemd rather than to a person, which is why it is started by main.ts and has no options. */
export const GENERATE: CommandSummary = {
  name: 'generate',
  operand: 'NORMAL [EARLY LATE]',
  completes: 'directory',
  summary: 'write the units for the pull expressions of the kernel command line, as systemd asks at boot',
};
