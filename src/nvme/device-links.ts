import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../console/rdpull-error.ts';
import { removeTree } from '../kernel/remove-tree.ts';

/** Where units/60-rdpull-nvme.rules looks: a directory for each subsystem, a file for each namespace. */
const DIRECTORY = '/run/rdpull/nvme';

/** While this is there, no disk of the subsystem is ready for systemd. */
const CLAIM = 'claim';

/**
 * Tells udev that the disks of a subsystem are not ready yet, before they are there: nobody may have one open that is to become
 * read-only.
 *
 * @param warn takes a line when it cannot be told
 */
export function claimDisks(nqn: string, warn: (text: string) => void): void {
  write(nqn, CLAIM, 'SYSTEMD_READY=0\n', warn);
}

/** Takes that back; whoever does it has udev look again. */
export function releaseDisks(nqn: string): void {
  const directory = directoryOf(nqn);
  fs.rmSync(path.join(directory, CLAIM), { force: true });
  try {
    fs.rmdirSync(directory);
  } catch {
    // There are names in it.
  }
}

/**
 * Tells udev what the links of a namespace are to be called, below /dev/disk/by-loop-ref.
 *
 * @param linkName as udev writes it, with `\xNN`
 */
export function linkDisk(nqn: string, nsid: number, linkName: string, warn: (text: string) => void): void {
  write(nqn, String(nsid), `RDPULL_LOOP_REF=${linkName}\n`, warn);
}

/** Forgets a subsystem that is not connected any more. */
export function forgetDisks(nqn: string): void {
  removeTree(directoryOf(nqn));
}

/** As udev replaces what it does not let into the name of a file (`udev_replace_chars()`): here, only the tilde. */
function directoryOf(nqn: string): string {
  return path.join(DIRECTORY, nqn.replaceAll(/[^A-Za-z0-9#+.:=@_-]/g, '_'));
}

function write(nqn: string, name: string, text: string, warn: (text: string) => void): void {
  const file = path.join(directoryOf(nqn), name);
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  } catch (error) {
    warn(
      `${file} cannot be written, so that udev makes no link in /dev/disk/by-loop-ref: ${reasonOf(error)}`,
    );
  }
}
