import type { Guest } from './guest.ts';
import type { ImageServer } from './image-server.ts';
import { milestones } from './milestones.ts';

/**
 * What a boot has spent its time with, in a line, as the serial console and the server saw it. An agent's process has
 * started when it asks for the first file.
 */
export function whereTheTimeGoes(guest: Guest, server: ImageServer): string {
  const times = milestones(guest.lines);
  const request = server.requests.find(({ name, begun }) => begun > guest.begun && !name.endsWith('.efi'));
  const points = [
    ['', 0],
    ['firmware and kernel image', times.kernel],
    ['kernel, initrd, and wait for the network', times['unit starts']],
    ['start of the process', request === undefined ? undefined : guest.seconds(request.begun)],
    ['transfer', times['download ends']],
    ['attachment', times.attached],
    ['until the root is mounted', times['root mounted']],
    ['until its init runs', times.booted],
  ] as const;
  const parts: string[] = [];
  let last = 0;
  for (const [name, time] of points) {
    if (time === undefined || name === '') continue;
    parts.push(`${name} ${(time - last).toFixed(1)}`);
    last = time;
  }
  return `${parts.join(', ')}; in all ${last.toFixed(1)} s`;
}
