import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../console/rdpull-error.ts';

/** The mount of the root, which the generator has written, and what is added to it. */
const MOUNT = '/run/systemd/generator.early/sysroot.mount';
const DROP_IN = '/run/systemd/system/sysroot.mount.d/50-rdpull.conf';

/** How long systemd may take to read its units again, in ms. */
const PATIENCE = 10_000;

/**
 * Adds an option to the mount of the root, before it is mounted, and has systemd read it: SIGHUP is what systemd(1) has for that.
 * Its generators run anew then, which is how it is told that it has.
 *
 * @param warn takes a line when it cannot be done
 */
export async function addSysrootOption(option: string, warn: (text: string) => void): Promise<void> {
  try {
    const { text, time } = readMount();
    const options = /^Options=(.*)$/m.exec(text)?.[1] ?? 'ro';
    if (options.split(',').includes(option)) return;
    fs.mkdirSync(path.dirname(DROP_IN), { recursive: true });
    fs.writeFileSync(
      DROP_IN,
      `# Written by rdpull for this boot.\n\n[Mount]\nOptions=${options},${option}\n`,
    );
    process.kill(1, 'SIGHUP');
    const deadline = performance.now() + PATIENCE;
    while ([time, undefined].includes(readMount().time)) {
      if (performance.now() > deadline) throw new Error('systemd has not read its units again');
      await Bun.sleep(20);
    }
  } catch (error) {
    warn(`the root cannot be mounted with ${option}, unless rootflags=${option} says so: ${reasonOf(error)}`);
  }
}

/** While the generators run it is gone for a moment. */
function readMount(): { readonly text: string; readonly time: bigint | undefined } {
  const stat = fs.statSync(MOUNT, { bigint: true, throwIfNoEntry: false });
  return stat === undefined
    ? { text: '', time: undefined }
    : { text: fs.readFileSync(MOUNT, 'utf8'), time: stat.mtimeNs };
}
