/**
 * How long a server asks to be left alone, in ms (`Retry-After`, RFC 9110, section 10.2.3): a number of seconds, or a
 * date, which counts from the `Date` of the same answer, because the clock of this machine may be wrong. undefined when
 * it does not say, or says it wrongly.
 */
export function retryAfter(header: (name: string) => string | undefined): number | undefined {
  const said = header('retry-after')?.trim();
  if (said === undefined) return undefined;
  if (/^\d{1,9}$/.test(said)) return Number(said) * 1000;
  // A bare number with a sign or a fraction is a date to Date.parse.
  const until = /^[A-Z][a-z]{2,8},? /.test(said) ? Date.parse(said) : Number.NaN;
  if (Number.isNaN(until)) return undefined;
  const now = Date.parse(header('date') ?? '');
  return Math.max(0, until - (Number.isNaN(now) ? Date.now() : now));
}
