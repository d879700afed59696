import fs from 'node:fs';

/** A process, also when its number has been given to another one since. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the boot: field 22 of proc_pid_stat(5). */
  readonly startTime: number;
}

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, startTime: readStat('self')?.startTime ?? 0 };
}

/** Whether the process still runs. One that has ended and that nobody has waited for does not. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const stat = readStat(String(pid));
  return stat?.startTime === startTime && stat.state !== 'Z' && stat.state !== 'X';
}

function readStat(pid: string): { readonly state: string; readonly startTime: number } | undefined {
  let text: string;
  try {
    text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name, field 2, may hold anything: also spaces and parentheses.
  const [state = '', ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state, startTime: Number(fields[22 - 4]) };
}
