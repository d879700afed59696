import { isSystemError } from '../../../kernel/libc.ts';

/**
 * Whether a tree is good enough without an extended attribute that could not be set: `user.*`, which tmpfs has only
 * since Linux 6.6; labels of security modules, which may be absent or not know them; and the namespaces of other
 * systems. File capabilities and `trusted.*` (overlayfs's whiteouts) are what a system runs by.
 */
export function canDoWithout(name: string, error: unknown): error is Error & { code: string } {
  if (name === 'security.capability' || name.startsWith('trusted.')) return false;
  if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP')) return true;
  return name.startsWith('security.') && isSystemError(error, 'EPERM', 'EINVAL');
}
