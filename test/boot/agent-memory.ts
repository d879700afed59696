import type { Guest } from './guest.ts';
import type { Lab } from './lab.ts';
import { MARK } from './root-tree.ts';

/** kB: 64 MiB. */
const MOST = 64 * 1024;

/** Shell commands that define `agent_memory`: the most anonymous memory, in kB, that the agent was seen to have is in `$most`. */
export const AGENT_MEMORY = `
most=0
agent=$(systemctl show -P MainPID 'rdpull@*')
agent_memory() {
  [ -e "/proc/$agent/status" ] || return 0
  while read -r key value _; do
    if [ "$key" = RssAnon: ] && [ "$value" -gt "$most" ]; then most=$value; fi
  done <"/proc/$agent/status"
}`;

/** Looks at the console's line `memory: NUMBER kB`. */
export function expectAgentMemory(lab: Lab, guest: Guest): void {
  const [, most] = new RegExp(`${MARK} memory: (\\d+) kB`).exec(guest.text) ?? [];
  lab.notes.push(`anonymous memory of rdpull while it is read on demand: ${most} kB at most`);
  if (!(Number(most) > 0 && Number(most) < MOST))
    throw new Error(`rdpull had ${most} kB of anonymous memory, and not less than ${MOST}`);
}
