import fs from 'node:fs';
import path from 'node:path';
import rule from '../../units/60-rdpull-nvme.rules' with { type: 'text' };
import { reasonOf } from '../console/rdpull-error.ts';

/** Below `/run`, which the real root takes over: udev(7). */
const RULE = '/run/udev/rules.d/60-rdpull-nvme.rules';

/**
 * Lets the udev of the real root make the links in /dev/disk/by-loop-ref as well: it looks at all devices anew, and the image may not
 * have the rule.
 *
 * @param warn takes a line when it cannot be done
 */
export function carryUdevRule(warn: (text: string) => void): void {
  try {
    fs.mkdirSync(path.dirname(RULE), { recursive: true });
    fs.writeFileSync(RULE, rule);
  } catch (error) {
    warn(`the real root may have no links in /dev/disk/by-loop-ref: ${reasonOf(error)}`);
  }
}
