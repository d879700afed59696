import fs from 'node:fs';
import path from 'node:path';
import { printable } from '../console/printable.ts';
import { reasonOf } from '../console/rdpull-error.ts';
import { findLoopNumbers } from './loop-search.ts';

/** Where units/60-rdpull-loop-ref.rules looks, for a file called like the image with all its directories. */
const DIRECTORY = '/run/rdpull/loop-ref';

/**
 * Tells a udev that does not know the names of loop devices (before systemd 254) what the link of an image below
 * /dev/disk/by-loop-ref is to be called. To be done before the image is attached: the first event needs it.
 *
 * @param backingFile the image as the kernel will call it: without symbolic links
 * @param linkName as udev writes it, with `\xNN`
 */
export function writeLoopRefFile(
  backingFile: string,
  linkName: string,
  warn: (message: string) => void,
): void {
  const file = fileOf(backingFile);
  const other = ownerOf(file);
  if (other !== undefined && other !== backingFile && findLoopNumbers(other).length > 0) {
    warn(
      `${printable(backingFile)} and ${printable(other)}, which is attached, are one name to udev before systemd 254, ` +
        'which makes no link for this one in /dev/disk/by-loop-ref',
    );
    return;
  }
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, `# ${JSON.stringify(backingFile)}\nRDPULL_LOOP_REF=${linkName}\n`);
  } catch (error) {
    warn(
      `${printable(file)} cannot be written, so that udev before systemd 254 makes no link in /dev/disk/by-loop-ref: ` +
        `${reasonOf(error)}`,
    );
  }
}

/** Takes back what {@link writeLoopRefFile} has written, when the image is not attached any more. */
export function removeLoopRefFile(backingFile: string): void {
  // The kernel says so of a file that was removed while it was attached.
  const image = backingFile.replace(/ \(deleted\)$/, '');
  const file = fileOf(image);
  if (ownerOf(file) !== image) return;
  fs.rmSync(file, { force: true });
  try {
    for (let parent = path.dirname(file); parent !== path.dirname(DIRECTORY); parent = path.dirname(parent)) {
      fs.rmdirSync(parent);
    }
  } catch {
    // Another image's file is in there.
  }
}

/**
 * As udev puts the value of an attribute into the name of a file that it imports: `udev_replace_chars()` with
 * `UDEV_ALLOWED_CHARS_INPUT`, the same in all versions up to 253. What is no harmless character, none beyond ASCII and no `\x`
 * is an underscore there, so that two images may come to have one file.
 */
function fileOf(backingFile: string): string {
  const name = backingFile
    .replace(/[ \t\r\n]+$/, '')
    .replaceAll(/\\x|[^A-Za-z0-9#+.:=@_/ $%?,\u0080-\u{10ffff}-]/gu, (found) => {
      if (found === '\\x') return found;
      return /\s/.test(found) ? ' ' : '_';
    });
  return path.join(DIRECTORY, name);
}

/** The image that a file was written for; undefined where there is none. */
function ownerOf(file: string): string | undefined {
  try {
    const [, owner] = /^# (".*")$/m.exec(fs.readFileSync(file, 'utf8')) ?? [];
    return owner === undefined ? undefined : JSON.parse(owner);
  } catch {
    return undefined;
  }
}
