import { type ErrorCode, RdpullError } from '../console/rdpull-error.ts';

/** The answer of a server that is not the file. */
export class HttpStatusError extends RdpullError {
  readonly status: number;
  /** How long the server asks to be left alone, in ms. */
  readonly retryAfter: number | undefined;
  /** Length of the whole file, where the server says it with 416: no part begins where one was asked for. */
  readonly size: number | undefined;

  /**
   * @param shown the URL as it may be printed
   * @param reason the words behind the status
   */
  constructor(
    shown: string,
    { status, reason }: { readonly status: number; readonly reason: string },
    { retryAfter, size }: { readonly retryAfter: number | undefined; readonly size: number | undefined },
  ) {
    const { code, hint } = diagnose(status);
    super(code, `${shown}: the server answers ${reason === '' ? status : `${status} ${reason}`}`, hint);
    this.status = status;
    this.retryAfter = retryAfter;
    this.size = size;
  }
}

/** What a status other than success means (RFC 9110, section 15), for a person. */
function diagnose(status: number): { code: ErrorCode; hint: string } {
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
