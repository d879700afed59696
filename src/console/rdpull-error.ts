/**
 * The closed set of things that can go wrong. Each code belongs to one family, and each family has one exit
 * status, so that a script can tell "the server is down" from "somebody tampered with the image".
 *
 * Statuses stay below 64, clear of sysexits, of the shell's 126 and above, and of systemd's own 200 and above
 * (systemd.exec(5), "Process Exit Codes").
 */
export const EXIT_STATUS = {
  internal: 1,
  usage: 2,
  network: 10,
  http: 11,
  decode: 12,
  verify: 13,
  storage: 14,
  device: 15,
} as const;

export type ErrorFamily = keyof typeof EXIT_STATUS;

/** Every error code, and the family that decides its exit status. */
export const ERROR_CODES = {
  // What was asked for makes no sense: nothing was started.
  'bad-option': 'usage',
  'bad-argument': 'usage',
  'bad-expression': 'usage',
  'bad-url': 'usage',
  'bad-reference': 'usage',
  'bad-image-name': 'usage',
  'credential-unusable': 'usage',

  // No usable answer came over the wire.
  'host-unknown': 'network',
  'connection-refused': 'network',
  'host-unreachable': 'network',
  'connection-timeout': 'network',
  'connection-lost': 'network',
  'transfer-stalled': 'network',
  'tls-untrusted': 'network',
  'tls-failed': 'network',
  'ca-unusable': 'network',
  'proxy-refused': 'network',
  'dhcp-lease-missing': 'network',
  'dhcp-url-missing': 'network',
  'nvme-subsystem-unknown': 'network',
  'nvme-subsystem-ambiguous': 'network',
  'nvme-namespace-unknown': 'network',
  'nvme-denied': 'network',
  'nvme-busy': 'network',

  // The server answered, but not with the file.
  'http-not-found': 'http',
  'http-unauthorized': 'http',
  'http-forbidden': 'http',
  'http-server-error': 'http',
  'http-status': 'http',
  'http-redirect': 'http',
  'http-web-page': 'http',
  'http-protocol': 'http',
  'http-length': 'http',
  'http-range': 'http',
  'http-changed': 'http',
  'chunk-missing': 'http',

  // The registry answered, but not with the container image.
  'registry-name-unknown': 'http',
  'registry-tag-unknown': 'http',
  'registry-blob-unknown': 'http',
  'registry-unauthorized': 'http',
  'registry-rate-limit': 'http',
  'registry-platform': 'http',

  // The bytes arrived, but are not what their format says.
  'stream-truncated': 'decode',
  'stream-corrupt': 'decode',
  'stream-trailing-data': 'decode',
  'stream-unsupported': 'decode',
  'decoder-memory': 'decode',
  'limit-exceeded': 'decode',
  'index-malformed': 'decode',
  'oci-malformed': 'decode',
  'oci-unsupported': 'decode',
  'tar-malformed': 'decode',
  'tar-escape': 'decode',

  // The bytes are not the ones that were promised, or nobody trusted promised them.
  'manifest-missing': 'verify',
  'manifest-malformed': 'verify',
  'manifest-not-listed': 'verify',
  'checksum-mismatch': 'verify',
  'chunk-damaged': 'verify',
  'tag-unverified': 'verify',
  'tag-moved': 'verify',
  'signature-missing': 'verify',
  'signature-malformed': 'verify',
  'signature-bad': 'verify',
  'signature-unknown-key': 'verify',
  'signature-key-revoked': 'verify',
  'signature-key-expired': 'verify',
  'signature-weak': 'verify',
  'keyring-missing': 'verify',
  'keyring-malformed': 'verify',

  // The files on this machine.
  'file-not-found': 'storage',
  'file-unreadable': 'storage',
  'target-exists': 'storage',
  'target-busy': 'storage',
  'target-unwritable': 'storage',
  'disk-full': 'storage',
  'no-room': 'storage',
  'storage-failed': 'storage',
  'descriptors-exhausted': 'storage',

  // The kernel's devices and mounts.
  'not-root': 'device',
  'loop-missing': 'device',
  'loop-failed': 'device',
  'loop-not-attached': 'device',
  'nvme-missing': 'device',
  'nvme-failed': 'device',
  'nvme-not-attached': 'device',
  'fuse-missing': 'device',
  'fuse-failed': 'device',
  'nvme-target-missing': 'device',
  'nvme-target-failed': 'device',
  'image-unrecognised': 'device',
  'mount-failed': 'device',
  'overlay-unusable': 'device',
  'on-demand-impossible': 'device',

  // What check looked into.
  'uki-malformed': 'decode',
  'boot-incomplete': 'device',

  // A defect of rdpull itself.
  internal: 'internal',
} as const satisfies Record<string, ErrorFamily>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What crosses a thread boundary or goes into `--json` in place of an {@link RdpullError}. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

/**
 * The one error a user ever sees.
 *
 * `message` says what failed (with the URL or file and the figures) and why; `hint` says what to try. Both are
 * whole sentences without a final full stop, so that the console can lay them out.
 */
export class RdpullError extends Error {
  override readonly name = 'RdpullError';
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, hint: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }

  /** The exit status of this error's family. */
  get exitStatus(): number {
    return EXIT_STATUS[ERROR_CODES[this.code]];
  }

  /** A plain object for `postMessage` and `--json`. */
  toRecord(): ErrorRecord {
    return { code: this.code, message: this.message, hint: this.hint };
  }

  static fromRecord(record: ErrorRecord): RdpullError {
    return new RdpullError(record.code, record.message, record.hint);
  }

  /**
   * `error` itself when it is one of ours; anything else is a defect of rdpull and is reported as such. Whatever failed
   * for want of descriptors is told as that, because any call may.
   */
  static from(error: unknown): RdpullError {
    // Cleaning up failed as well, and usually for the same reason: what had failed before is what matters.
    if (error instanceof SuppressedError) return RdpullError.from(error.suppressed);
    const exhausted = exhaustion(error);
    if (exhausted !== undefined) {
      const [reason, hint] = EXHAUSTIONS[exhausted];
      return new RdpullError('descriptors-exhausted', `${reasonOf(error)}; ${reason}`, hint, {
        cause: error,
      });
    }
    if (error instanceof RdpullError) return error;
    return new RdpullError(
      'internal',
      `rdpull itself failed: ${reasonOf(error)}`,
      'this is a defect of rdpull: run the command again with --verbose and report what it prints',
      { cause: error },
    );
  }
}

/** What may run out where a file is opened (open(2)), why something failed that needs files, and what to try. */
const EXHAUSTIONS = {
  EMFILE: [
    'this process may have no more files open (EMFILE)',
    'let it have more: ulimit -n 1024 in a shell, LimitNOFILE=1024 in a unit',
  ],
  ENFILE: [
    'this machine may have no more files open (ENFILE)',
    'raise /proc/sys/fs/file-max, and look at what has so many open: lsof',
  ],
} as const;

function exhaustion(error: unknown): keyof typeof EXHAUSTIONS | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    // Told already.
    if (each instanceof RdpullError && each.code === 'descriptors-exhausted') return undefined;
    const code: unknown = Reflect.get(each, 'code');
    if (code === 'EMFILE' || code === 'ENFILE') return code;
  }
  return undefined;
}

/** What a caught value says of itself. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
