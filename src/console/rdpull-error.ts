import { printableUpTo } from './printable.ts';
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

/**
 * Every error code, by the family that decides its exit status. Lists, because each thread makes them at its start: an object with as
 * many names would take it ten times as long.
 */
const ERROR_CODES = {
  usage: [
    // What was asked for makes no sense: nothing was started.
    'bad-option',
    'bad-argument',
    'bad-expression',
    'bad-url',
    'bad-reference',
    'bad-image-name',
    'credential-unusable',
  ],
  network: [
    // No usable answer came over the wire.
    'host-unknown',
    'connection-refused',
    'host-unreachable',
    'connection-timeout',
    'connection-lost',
    'transfer-stalled',
    'tls-untrusted',
    'tls-failed',
    'ca-unusable',
    'proxy-refused',
    'dhcp-lease-missing',
    'dhcp-url-missing',
    'nvme-subsystem-unknown',
    'nvme-subsystem-ambiguous',
    'nvme-namespace-unknown',
    'nvme-denied',
    'nvme-busy',
  ],
  http: [
    // The server answered, but not with the file.
    'http-not-found',
    'http-unauthorized',
    'http-forbidden',
    'http-server-error',
    'http-status',
    'http-redirect',
    'http-web-page',
    'http-protocol',
    'http-length',
    'http-range',
    'http-changed',
    'chunk-missing',
    // The registry answered, but not with the container image.
    'registry-name-unknown',
    'registry-tag-unknown',
    'registry-blob-unknown',
    'registry-unauthorized',
    'registry-rate-limit',
    'registry-platform',
  ],
  decode: [
    // The bytes arrived, but are not what their format says.
    'stream-truncated',
    'stream-corrupt',
    'stream-trailing-data',
    'stream-unsupported',
    'decoder-memory',
    'limit-exceeded',
    'index-malformed',
    'oci-malformed',
    'oci-unsupported',
    'tar-malformed',
    'tar-escape',
    // What check looked into.
    'uki-malformed',
  ],
  verify: [
    // The bytes are not the ones that were promised, or nobody trusted promised them.
    'manifest-missing',
    'manifest-malformed',
    'manifest-not-listed',
    'checksum-mismatch',
    'chunk-damaged',
    'tag-unverified',
    'tag-moved',
    'signature-missing',
    'signature-malformed',
    'signature-bad',
    'signature-unknown-key',
    'signature-key-revoked',
    'signature-key-expired',
    'signature-weak',
    'keyring-missing',
    'keyring-malformed',
  ],
  storage: [
    // The files on this machine.
    'file-not-found',
    'file-unreadable',
    'target-exists',
    'target-busy',
    'target-unwritable',
    'disk-full',
    'no-room',
    'storage-failed',
    'descriptors-exhausted',
  ],
  device: [
    // The kernel's devices and mounts.
    'not-root',
    'loop-missing',
    'loop-failed',
    'loop-not-attached',
    'nvme-missing',
    'nvme-failed',
    'nvme-not-attached',
    'fuse-missing',
    'fuse-failed',
    'nvme-target-missing',
    'nvme-target-failed',
    'image-unrecognised',
    'mount-failed',
    'overlay-unusable',
    'on-demand-impossible',
    // What check looked into.
    'boot-incomplete',
  ],
  internal: [
    // A defect of rdpull itself.
    'internal',
  ],
} as const satisfies Record<ErrorFamily, readonly string[]>;

export type ErrorCode = (typeof ERROR_CODES)[ErrorFamily][number];

const isFamily = (name: string): name is ErrorFamily => Object.hasOwn(ERROR_CODES, name);

export const ERROR_FAMILIES: readonly ErrorFamily[] = Object.keys(ERROR_CODES).filter(isFamily);

export function codesOf(family: ErrorFamily): readonly ErrorCode[] {
  return ERROR_CODES[family];
}

export function isErrorCode(text: string): text is ErrorCode {
  return ERROR_FAMILIES.some((family) => codesOf(family).some((code) => code === text));
}

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

  get family(): ErrorFamily {
    const { code } = this;
    const family = ERROR_FAMILIES.find((each) => codesOf(each).includes(code));
    if (family === undefined) throw new Error(`the code ${code} belongs to no family`);
    return family;
  }

  /** The exit status of this error's family. */
  get exitStatus(): number {
    return EXIT_STATUS[this.family];
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

/** What a caught value says of itself, fit for a terminal: the kernel's errors name paths as they are. */
export function reasonOf(error: unknown): string {
  return printableUpTo(Number.POSITIVE_INFINITY, error instanceof Error ? error.message : String(error));
}
