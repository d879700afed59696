import type { ConsoleLine } from './guest.ts';
import { MARK } from './root-tree.ts';

/** What the table shows, in seconds since the machine was switched on. */
export const MILESTONES = {
  kernel: /Linux version /,
  network: /Reached target.*(?:network-online\.target|Network is Online)/,
  // systemd-import: what systemd's own service for a pull is called.
  'unit starts': /Starting (?:rdpull|systemd-import)@/,
  'download begins': /rdpull: pulling |Starting systemd-import@/,
  'download ends': /rdpull: .* received, .* written in |Finished systemd-import@/,
  attached: /Finished (?:rdpull|systemd-loop)@/,
  'root mounted': /Mounted.*sysroot\.mount/,
  'switch-root': /Starting.*initrd-switch-root\.service/,
  booted: new RegExp(`${MARK} booted`),
} as const;

export type Milestone = keyof typeof MILESTONES;
export type Times = Partial<Record<Milestone, number>>;

/** When each of them was first reached. */
export function milestones(lines: readonly ConsoleLine[]): Times {
  const times: Times = {};
  for (const { seconds, text } of lines) {
    for (const name of Object.keys(MILESTONES) as Milestone[])
      if (times[name] === undefined && MILESTONES[name].test(text)) times[name] = seconds;
  }
  return times;
}
