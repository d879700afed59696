import { RdpullError } from '../console/rdpull-error.ts';

/** What is looked at, in the order of the boot. */
export type Stage =
  | 'uki'
  | 'command line'
  | 'expression'
  | 'initrd'
  | 'kernel'
  | 'network'
  | 'unit'
  | 'root'
  | 'url'
  | 'tls'
  | 'checksum'
  | 'server'
  | 'image'
  | 'cache'
  | 'memory';

/** One thing that was looked at, and what would come of it at boot. */
export interface Finding {
  readonly stage: Stage;
  readonly state: 'ok' | 'warning' | 'failure';
  readonly text: string;
  /** What to try; a failure always says so. */
  readonly hint: string | undefined;
  /** Of a failure: why the boot would fail. */
  readonly error: RdpullError | undefined;
}

/** Takes what is found, line by line. */
export interface Findings {
  readonly all: readonly Finding[];
  ok(stage: Stage, text: string): void;
  warn(stage: Stage, text: string, hint?: string): void;
  fail(stage: Stage, error: RdpullError): void;
}

export function createFindings(): Findings {
  const all: Finding[] = [];
  return {
    all,
    ok(stage, text) {
      all.push({ stage, state: 'ok', text, hint: undefined, error: undefined });
    },
    warn(stage, text, hint) {
      all.push({ stage, state: 'warning', text, hint, error: undefined });
    },
    fail(stage, cause) {
      const error = RdpullError.from(cause);
      // What a server says to one request it says to the next, too.
      if (all.some((each) => each.error?.message === error.message)) return;
      all.push({ stage, state: 'failure', text: error.message, hint: error.hint, error });
    },
  };
}

/**
 * What `action` comes to at each of several places, of which one that works is enough: that others do not is a warning then.
 *
 * @throws as {@link found}
 */
export async function foundAtOne<Place, T>(
  findings: Findings,
  stage: Stage,
  signal: AbortSignal,
  places: readonly Place[],
  action: (place: Place) => Promise<T>,
): Promise<readonly T[]> {
  const results: T[] = [];
  const errors: RdpullError[] = [];
  for (const place of places) {
    const trial = createFindings();
    const result = await found(trial, stage, signal, async () => ({ value: await action(place) }));
    if (result !== undefined) results.push(result.value);
    errors.push(...trial.all.flatMap(({ error }) => error ?? []));
  }
  for (const error of errors) {
    if (results.length === 0) findings.fail(stage, error);
    else findings.warn(stage, `${error.message}; another mirror has it`, error.hint);
  }
  return results;
}

/**
 * What `action` comes to; undefined when it fails with an error that is a finding.
 *
 * @throws whatever is no RdpullError, and the reason of `signal`
 */
export async function found<T>(
  findings: Findings,
  stage: Stage,
  signal: AbortSignal,
  action: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof RdpullError) || error.code === 'internal') throw error;
    findings.fail(stage, error);
    return undefined;
  }
}
