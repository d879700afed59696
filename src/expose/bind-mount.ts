import fs from 'node:fs';
import { printable } from '../console/printable.ts';
import { RdpullError, reasonOf } from '../console/rdpull-error.ts';
import { shellWord } from '../console/shell-command.ts';
import { MNT_DETACH, MS_BIND, MS_RDONLY, MS_REMOUNT, mount, unmount } from '../kernel/mount.ts';
import { statAt } from '../kernel/path-lookup.ts';
import { isSystemError } from '../kernel/system-error.ts';
import { isMountedOn, requireFreeMountPoint } from './free-mount-point.ts';

/**
 * Bind-mounts a directory tree with setuid programs, device nodes and programs at work, even when it lies on a file
 * system mounted without them, as /run is (systemd issue 41352). How access times are kept is inherited. What is
 * mounted below `source` stays behind. Where it is mounted already, once is enough, and `warn` is told.
 *
 * @throws RdpullError `file-not-found` (the source), `target-busy`, `mount-failed`, `not-root`; nothing is mounted then
 */
export function bindMount(
  source: string,
  target: string,
  { readOnly, warn }: { readonly readOnly: boolean; readonly warn?: (message: string) => void },
): void {
  requireDirectory(source, () => {
    return new RdpullError(
      'file-not-found',
      `${printable(source)} does not exist`,
      'check the path of the unpacked tree',
    );
  });
  requireDirectory(target, () => {
    return new RdpullError(
      'mount-failed',
      `${printable(source)} cannot be mounted on ${printable(target)}: that directory does not exist`,
      `create it first: mkdir -p ${shellWord(target)}`,
    );
  });
  try {
    mountOnce(source, target, readOnly, warn);
  } catch (error) {
    if (error instanceof RdpullError) throw error;
    if (isSystemError(error, 'EPERM', 'EACCES')) {
      throw new RdpullError('not-root', 'mounting needs root (CAP_SYS_ADMIN)', 'run it again as root', {
        cause: error,
      });
    }
    throw new RdpullError(
      'mount-failed',
      `${printable(source)} cannot be mounted on ${printable(target)}: ${reasonOf(error)}`,
      'look into the kernel log with dmesg',
      { cause: error },
    );
  }
}

function mountOnce(
  source: string,
  target: string,
  readOnly: boolean,
  warn: ((message: string) => void) | undefined,
): void {
  // A remount sets exactly the flags that are given: nosuid, nodev and noexec go.
  const remount = () => mount({ target, flags: MS_BIND | MS_REMOUNT | (readOnly ? MS_RDONLY : 0) });
  if (isMountedOn(source, target)) {
    warn?.(`${printable(source)} is mounted on ${printable(target)} already, which is used`);
    remount();
    return;
  }
  requireFreeMountPoint(target, source, false);
  if (fs.readdirSync(target).length > 0) {
    warn?.(
      `${printable(target)} is not empty: what is in it is hidden while ${printable(source)} is mounted there`,
    );
  }
  // This call ignores all other flags.
  mount({ source, target, flags: MS_BIND });
  try {
    remount();
  } catch (error) {
    unmount(target, MNT_DETACH);
    throw error;
  }
}

function requireDirectory(path: string, missing: () => RdpullError): void {
  const stat = statAt(path);
  if (stat === undefined) throw missing();
  if (!stat.isDirectory()) {
    throw new RdpullError(
      'mount-failed',
      `${printable(path)} is not a directory`,
      "name directories on both sides; 'rdpull attach' is for disk images",
    );
  }
}
