import fs from 'node:fs';
import path from 'node:path';
import { reasonOf } from '../console/rdpull-error.ts';
import { EFIVARFS } from './efi-variable.ts';

/**
 * Mounts efivarfs where it belongs when that directory is empty, as in an initrd without systemd's own mounts. It
 * stays mounted. Does nothing on a machine without EFI.
 *
 * @param detail takes a line about why it could not be mounted, which is no failure: the variables are then not there
 */
export async function mountEfivarfs(detail: (text: string) => void): Promise<void> {
  try {
    if (!fs.existsSync(path.dirname(EFIVARFS)) || fs.readdirSync(EFIVARFS).length > 0) return;
    const { MS_NODEV, MS_NOEXEC, MS_NOSUID, mount } = await import('../kernel/mount.ts');
    mount({
      source: 'efivarfs',
      target: EFIVARFS,
      type: 'efivarfs',
      flags: MS_NOSUID | MS_NODEV | MS_NOEXEC,
    });
  } catch (error) {
    detail(`efivarfs cannot be mounted on ${EFIVARFS}: ${reasonOf(error)}`);
  }
}
