import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';

/** What a server says when it does not send the file. */
export interface Refusal {
  readonly status: number;
  /** The words behind the status, fit for a terminal. */
  readonly reason: string;
  /** Scheme, host and port of who says so: after redirects another server than was asked. */
  readonly origin: string;
  /** How long the server asks to be left alone, in ms. */
  readonly retryAfter: number | undefined;
  /** Length of the whole file, where the server says it with 416: no part begins where one was asked for. */
  readonly size: number | undefined;
  /** By what a client can show who it is, with 401 (`WWW-Authenticate`, RFC 9110, section 11.6.1). */
  readonly challenges: readonly string[];
  /** The beginning of the body, where it was to be kept; else empty. */
  readonly said: string;
}

/** What a refusal means, for a person. */
interface Diagnosis {
  readonly code: ErrorCode;
  readonly hint: string;
}

/** The answer of a server that is not the file. */
export class HttpStatusError extends RdpullError {
  readonly refusal: Refusal;

  /**
   * @param shown the URL as it may be printed
   * @param details what else is to be said of it, behind the status
   */
  constructor(
    shown: string,
    refusal: Refusal,
    { code, hint }: Diagnosis = diagnose(refusal.status),
    details = '',
  ) {
    const { status, reason } = refusal;
    super(
      code,
      `${shown}: the server answers ${reason === '' ? status : `${status} ${reason}`}${details}`,
      hint,
    );
    this.refusal = refusal;
  }

  get status(): number {
    return this.refusal.status;
  }

  get retryAfter(): number | undefined {
    return this.refusal.retryAfter;
  }

  get size(): number | undefined {
    return this.refusal.size;
  }
}

/** What a status other than success means (RFC 9110, section 15). */
export function diagnose(status: number): Diagnosis {
  if (status === 404 || status === 410) {
    return {
      code: 'http-not-found',
      hint: 'check the name of the file, and that it lies in the directory that is served',
    };
  }
  if (status === 401) {
    return {
      code: 'http-unauthorized',
      hint: 'the server wants a login, or another one: pass --login=FILE or --bearer=FILE, or put it into the URL as https://USER:PASSWORD@HOST/FILE',
    };
  }
  if (status === 403) {
    return { code: 'http-forbidden', hint: 'check the permissions of the file on the server' };
  }
  if (status === 400) {
    return {
      code: 'http-status',
      hint: 'if the server wants a client certificate, name it with --cert=FILE and --key=FILE',
    };
  }
  if (status === 408 || status === 429) {
    return { code: 'http-status', hint: 'try again later, or with more --patience=SECONDS' };
  }
  if (status >= 500) {
    return { code: 'http-server-error', hint: 'look at the log of the server, then try again' };
  }
  return { code: 'http-status', hint: 'check the URL, and what the server means by this answer' };
}
