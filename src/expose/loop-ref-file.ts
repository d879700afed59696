import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';

/** Where units/60-rdpull-loop-ref.rules looks, for a file called like the image with all its directories. */
const DIRECTORY = '/run/rdpull/loop-ref';

/**
 * Tells a udev that does not know the names of loop devices (before systemd 254) what the link of an image below
 * /dev/disk/by-loop-ref is to be called. To be done before the image is attached: the first event needs it.
 *
 * @param linkName as udev writes it, with `\xNN`
 */
export function writeLoopRefFile(imagePath: string, linkName: string, warn: (message: string) => void): void {
  const file = path.join(DIRECTORY, imagePath);
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `RDPULL_LOOP_REF=${linkName}\n`);
  } catch (error) {
    warn(
      `${printable(file)} cannot be written, so that udev before systemd 254 makes no link in /dev/disk/by-loop-ref: ` +
        `${reasonOf(error)}`,
    );
  }
}

/** Takes back what {@link writeLoopRefFile} has written, when the image is not attached any more. */
export function removeLoopRefFile(imagePath: string): void {
  const file = path.join(DIRECTORY, imagePath);
  fs.rmSync(file, { force: true });
  try {
    for (let parent = path.dirname(file); parent !== path.dirname(DIRECTORY); parent = path.dirname(parent)) {
      fs.rmdirSync(parent);
    }
  } catch {
    // Another image's file is in there, or nothing was written at all.
  }
}
