import type { Guest } from './guest.ts';

/** Types a command, and waits until it has ended well: a word that is in nothing else on the console tells. */
export type Shell = (command: string, word: string) => Promise<void>;

/** While somebody types, a boot that has failed stays as it is. */
const PATIENT = /Kernel panic/;

/** The emergency shell of a machine whose command line has `SYSTEMD_SULOGIN_FORCE=1`. */
export async function emergencyShell(guest: Guest): Promise<Shell> {
  await guest.waitFor(/Press Enter for system maintenance/, PATIENT);
  // sulogin throws away what was typed before it asks, and takes the first line after that for itself.
  for (let attempt = 0; attempt < 20 && !/shell-is-there/.test(guest.text); attempt++) {
    guest.type('echo shell-is""-there');
    await Bun.sleep(3000);
  }
  return async (command, word) => {
    // The shell echoes what is typed: only its answer has the word in one piece.
    guest.type(`${command} && echo ${word.slice(0, 1)}""${word.slice(1)}`);
    await guest.waitFor(new RegExp(word), PATIENT);
  };
}
