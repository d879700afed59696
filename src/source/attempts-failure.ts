import { duration } from '../console/quantity.ts';
import { RdpullError } from '../console/rdpull-error.ts';

/** What had been tried when it was given up. */
export interface GivenUp {
  /** The last failure of each place that was asked, in this order. */
  readonly causes: readonly RdpullError[];
  readonly last: RdpullError;
  /** How many places there are. */
  readonly places: number;
  /** What had arrived, such as `7 of 12 bytes`; empty when nothing had. */
  readonly got: string;
  /** How often it was tried in vain, and for how long, in ms; undefined when waiting would not have helped. */
  readonly effort: { readonly tries: number; readonly milliseconds: number } | undefined;
}

/** What it all came to, in one error: of one place what that has said, else what each has. */
export function attemptsFailure({ causes, last, places, got, effort }: GivenUp): RdpullError {
  const details = [
    ...(got === '' ? [] : [`${got} had arrived`]),
    ...(effort !== undefined && effort.tries > causes.length
      ? [`gave up after ${effort.tries} attempts in ${duration(effort.milliseconds)} without progress`]
      : []),
  ];
  const end = details.length === 0 ? '' : `; ${details.join(', ')}`;
  const messages = new Set(causes.map(({ message }) => message));
  const [first, ...others] = causes;
  if (first === undefined || others.length === 0 || messages.size === 1) {
    if (end === '') return last;
    return new RdpullError(last.code, `${last.message}${end}`, last.hint, { cause: last });
  }
  const { code, hint } = changedFile(causes) ?? first;
  const listed = [...messages].join('; ');
  return new RdpullError(code, `none of ${places} mirrors helps: ${listed}${end}`, hint, { cause: last });
}

/** The failure of a server that has another file than the one that was begun: that could be had whole. */
export function changedFile(causes: readonly RdpullError[]): RdpullError | undefined {
  return causes.find(({ code }) => code === 'http-changed');
}
