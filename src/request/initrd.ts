import { exists } from '../kernel/small-file.ts';
import { parseBoolean } from './boolean.ts';

/** Whether this is an initrd: `$SYSTEMD_IN_INITRD` says so, or the file that marks one exists (os-release(5)). */
export function inInitrd(environment: NodeJS.ProcessEnv = process.env): boolean {
  const { SYSTEMD_IN_INITRD: said = '' } = environment;
  return parseBoolean(said) ?? exists('/etc/initrd-release');
}
