import type { Suite } from '../fixtures/suite-tree.ts';
import type { Guest, Machine } from './guest.ts';
import type { InitrdFile } from './initrd.ts';
import type { Lab } from './lab.ts';

/** A boot without firmware: the fastest. */
export interface DirectBoot extends Omit<Machine, 'boot'> {
  /** Whose kernel, systemd and dracut; the newest by default. */
  readonly suite?: Suite;
  /** For the initrd. */
  readonly files?: Readonly<Record<string, InitrdFile>>;
  readonly commandLine: string;
}

/** Switches on a machine with a kernel, an initrd and a command line. */
export async function directBoot(
  lab: Lab,
  { suite = 'forky', files = {}, commandLine, ...machine }: DirectBoot,
): Promise<Guest> {
  const initrd = await lab.initrd(suite, files);
  return lab.start({ ...machine, boot: await lab.direct(suite, initrd, commandLine) });
}
