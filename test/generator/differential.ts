import { DIFFERENCES, type Difference } from './differences.ts';
import type { Case, Outcome, Transfer } from './differential-case.ts';
import { type Fields, joinExpression, splitExpression } from './differential-expression.ts';

/**
 * What rdpull has to make of a case, by what systemd makes of it (or of another one) and the listed differences.
 *
 * @param systemd runs systemd's generator
 * @param applied is told each difference that has a part in it
 */
export async function expectedOutcome(
  each: Case,
  systemd: (each: Case) => Promise<Outcome>,
  applied: (difference: Difference) => void,
): Promise<Outcome> {
  const [expression, ...others] = each.expressions;
  const fields = expression !== undefined && others.length === 0 ? splitExpression(expression) : undefined;
  // The differences in expressions are told one at a time; command lines with more hold none of them.
  let result = fields === undefined ? await systemd(each) : await expectedOf(fields, each, systemd, applied);
  for (const difference of DIFFERENCES) {
    const made = 'makes' in difference ? difference.makes(each, result) : undefined;
    if (made === undefined) continue;
    applied(difference);
    result = made;
  }
  return result;
}

async function expectedOf(
  fields: Fields,
  each: Case,
  systemd: (each: Case) => Promise<Outcome>,
  applied: (difference: Difference) => void,
): Promise<Outcome> {
  let meant = fields;
  const corrections: ((transfer: Transfer) => Transfer)[] = [];
  for (const difference of DIFFERENCES) {
    if (!('means' in difference)) continue;
    const { means, but } = difference;
    const before = meant;
    const after = means(before, each);
    if (after === undefined) continue;
    applied(difference);
    meant = after;
    if (but !== undefined) corrections.unshift((transfer) => but(transfer, before));
  }
  const outcome = await systemd(meant === fields ? each : withExpression(each, joinExpression(meant)));
  const [transfer] = outcome === 'aborted' ? [outcome] : outcome;
  if (transfer === undefined) return [];

  for (const difference of DIFFERENCES) {
    if (!('refuses' in difference) || !difference.refuses(meant, transfer, each)) continue;
    applied(difference);
    return [];
  }
  if (transfer === 'aborted') return transfer;
  return [corrections.reduce((corrected, correct) => correct(corrected), transfer)];
}

/** The same machine with nothing but `expression` on its command line. */
function withExpression(each: Case, expression: string): Case {
  const quoted = expression.replace(/"+/g, `"'$&'"`);
  return { ...each, commandLine: `${each.inInitrd ? 'rd.' : ''}systemd.pull="${quoted}"` };
}
