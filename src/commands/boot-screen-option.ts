import type { BootScreen } from '../console/boot-screen.ts';
import type { CommandLine, OptionSpec } from './command.ts';

export const BOOT_SCREEN_OPTION: OptionSpec = {
  name: 'boot-screen',
  help: 'show progress and failures on all consoles of the machine, unless standard error is a terminal',
};

/** The consoles, if they were asked for; not when standard error is a terminal, whose reader sees everything already. */
export async function askedBootScreen(line: CommandLine): Promise<BootScreen | undefined> {
  if (!line.has(BOOT_SCREEN_OPTION.name) || process.stderr.isTTY) return undefined;
  // Only here, because it opens the way into libc.
  const { openBootScreen } = await import('./boot-screen.ts');
  return openBootScreen();
}
