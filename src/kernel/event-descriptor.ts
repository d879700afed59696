import fs from 'node:fs';
import { checked, libc } from './libc.ts';

/** sys/eventfd.h */
const EFD_CLOEXEC = 0o2000000;

const { eventfd } = libc({ eventfd: { args: ['u32', 'i32'], returns: 'i32' } });

/** A descriptor that can be read from once {@link raiseEvent} was called: eventfd(2). It wakes a thread up that waits in poll(2). */
export function openEvent(): number {
  return checked('eventfd', eventfd(0, EFD_CLOEXEC));
}

export function raiseEvent(fd: number): void {
  fs.writeSync(fd, new Uint8Array(BigUint64Array.of(1n).buffer));
}
