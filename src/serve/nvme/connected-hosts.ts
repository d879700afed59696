import fs from 'node:fs';
import { isSystemError } from '../../kernel/system-error.ts';

/** TCP_ESTABLISHED of include/net/tcp_states.h, as proc_pid_net(5) has it. */
const ESTABLISHED = '01';

/** Whether anybody is connected to a TCP port of this machine, in this network namespace. */
export function isAnyoneConnected(port: number): boolean {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((file) =>
    linesOf(file).some((line) => {
      const [, local = '', , state] = line.trim().split(/ +/);
      return state === ESTABLISHED && local.endsWith(`:${wanted}`);
    }),
  );
}

function linesOf(file: string): string[] {
  try {
    return fs.readFileSync(file, 'utf8').split('\n').slice(1);
  } catch (error) {
    // A kernel without IPv6.
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}
