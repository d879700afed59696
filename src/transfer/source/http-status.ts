import { type ErrorCode, RdpullError } from '../../console/rdpull-error.ts';

/** What a status other than success means (RFC 9110, section 15), for a person. */
export function httpStatusError(shown: string, status: number, statusText: string): RdpullError {
  const answer = statusText === '' ? String(status) : `${status} ${statusText}`;
  const { code, hint } = diagnose(status);
  return new RdpullError(code, `${shown}: the server answers ${answer}`, hint);
}

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
  if (status >= 500) {
    return { code: 'http-server-error', hint: 'look at the log of the server, then try again' };
  }
  return { code: 'http-status', hint: 'check the URL, and what the server means by this answer' };
}
