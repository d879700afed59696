import { RdpullError } from '../../../console/rdpull-error.ts';

/** The archive breaks the tar format: `message` says where and how. */
export function malformed(message: string): RdpullError {
  return new RdpullError(
    'tar-malformed',
    message,
    'check that the server has the whole, unchanged tarball; "tar --list" shows whether GNU tar can read it',
  );
}

/** The archive uses something that rdpull does not do, or more of it than rdpull is made for. */
export function unsupported(message: string, hint: string): RdpullError {
  return new RdpullError('stream-unsupported', message, hint);
}

/** The archive says two things, of which tars take now one and now the other: "the tar archive holds WHAT". */
export function ambiguous(what: string): RdpullError {
  return new RdpullError(
    'tar-malformed',
    `the tar archive holds ${what}: tars disagree about what that means`,
    'pack the tarball anew with one tool, such as GNU tar or bsdtar',
  );
}

/** The archive needs more memory than rdpull gives it, whatever the options. */
export function beyondBounds(message: string, hint: string): RdpullError {
  return new RdpullError('limit-exceeded', message, hint);
}

/** A member that would be written, or linked, outside the target directory. */
export function escapes(message: string): RdpullError {
  return new RdpullError(
    'tar-escape',
    message,
    'do not use this tarball: it is either an attack or was packed with absolute names (pack with "tar -C ROOT .")',
  );
}

/** A path that goes through links which lead nobody knows where, so that nobody can say that it stays inside. */
export function leadsNowhere(message: string): RdpullError {
  return new RdpullError(
    'tar-escape',
    message,
    'look at the links in the tarball (tar --list --verbose), and pack it anew from a tree whose links lead somewhere',
  );
}

/** The archive stops before its end-of-archive marker. */
export function truncated(message: string): RdpullError {
  return new RdpullError(
    'stream-truncated',
    message,
    'compare the size of the file on the server with that of the original, and upload it again',
  );
}

/** Something follows the end-of-archive marker. */
export function trailingData(message: string): RdpullError {
  return new RdpullError(
    'stream-trailing-data',
    message,
    'upload the tarball again; other archives and zeros may follow an archive, and nothing else',
  );
}
