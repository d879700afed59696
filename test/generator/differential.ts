import { DIFFERENCES, type Difference } from './differences.ts';
import { type Case, type Outcome, outcome, type Transfer } from './differential-case.ts';
import { type Fields, joinExpression, splitExpression } from './differential-expression.ts';

interface Witness {
  /** Runs systemd's generator. */
  systemd(each: Case): Promise<Outcome>;
  /** Is told each difference that has a part in the expectation. */
  applied(difference: Difference): void;
}

/**
 * What rdpull has to make of a case, by what systemd makes of it (or of another one) and the listed differences.
 *
 * @param actual what rdpull makes of it, of which differences may allow more than they demand
 */
export async function expectedOutcome(each: Case, actual: Outcome, witness: Witness): Promise<Outcome> {
  const [expression, ...others] = each.expressions;
  const fields = expression !== undefined && others.length === 0 ? splitExpression(expression) : undefined;
  // The differences in expressions are told one at a time; cases with more hold none of them.
  let expected =
    fields === undefined
      ? await witness.systemd(asRead(each, witness))
      : await expectedOf(fields, each, witness);
  for (const difference of DIFFERENCES) {
    const made = 'makes' in difference ? difference.makes(each, expected) : undefined;
    if (made === undefined) continue;
    witness.applied(difference);
    expected = made;
  }
  return withAllowed(expected, actual, witness);
}

/** The case with a credential on which both agree. */
function asRead(each: Case, witness: Witness): Case {
  let read = each;
  for (const difference of DIFFERENCES) {
    if (!('reads' in difference) || read.credential === undefined) continue;
    const credential = difference.reads(read.credential);
    if (credential === undefined) continue;
    witness.applied(difference);
    read = { ...read, credential };
  }
  return read;
}

async function expectedOf(fields: Fields, each: Case, witness: Witness): Promise<Outcome> {
  let meant = fields;
  const corrections: ((transfer: Transfer) => Transfer)[] = [];
  for (const difference of DIFFERENCES) {
    if (!('means' in difference)) continue;
    const { means, but } = difference;
    const before = meant;
    const after = means(before, each);
    if (after === undefined) continue;
    witness.applied(difference);
    meant = after;
    if (but !== undefined) corrections.unshift((transfer) => but(transfer, before));
  }
  const found = await witness.systemd(meant === fields ? each : withExpression(each, joinExpression(meant)));
  const [transfer] = found === 'aborted' ? [found] : found;
  if (transfer === undefined) return [];

  for (const difference of DIFFERENCES) {
    if (!('refuses' in difference) || !difference.refuses(meant, transfer, each)) continue;
    witness.applied(difference);
    return [];
  }
  if (transfer === 'aborted') return transfer;
  return [corrections.reduce((corrected, correct) => correct(corrected), transfer)];
}

function withAllowed(expected: Outcome, actual: Outcome, witness: Witness): Outcome {
  if (expected === 'aborted' || actual === 'aborted') return expected;
  const allowed = actual.filter((transfer) =>
    DIFFERENCES.some((difference) => {
      const allows = 'allows' in difference && difference.allows(transfer);
      if (allows) witness.applied(difference);
      return allows;
    }),
  );
  return outcome([...expected, ...allowed]);
}

/** The same machine with nothing but `expression` on its command line. */
function withExpression(each: Case, expression: string): Case {
  const quoted = expression.replace(/"+/g, `"'$&'"`);
  const commandLine = `${each.inInitrd ? 'rd.' : ''}systemd.pull="${quoted}"`;
  return { ...each, credential: undefined, commandLine };
}
