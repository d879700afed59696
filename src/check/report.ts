import type { CheckResult } from './boot-check.ts';
import type { Finding } from './finding.ts';

const COLORS: Record<Finding['state'], string> = {
  ok: '\x1b[32m',
  warning: '\x1b[33m',
  failure: '\x1b[31m',
};
const RESET = '\x1b[0m';

const STATE_WIDTH = 'warning'.length;
const STAGE_WIDTH = 'command line'.length;

/** One line for each finding, and one for what to do about it; at the end what it all comes to. */
export function reportLines({ findings, pulls }: CheckResult): string[] {
  const paint = painter();
  const lines = findings.flatMap(({ state, stage, text, hint }) => {
    const mark = paint(state, state.padEnd(STATE_WIDTH));
    const line = `${mark}  ${stage.padEnd(STAGE_WIDTH)}  ${text}`;
    return hint === undefined ? [line] : [line, `${' '.repeat(STATE_WIDTH + STAGE_WIDTH + 4)}try: ${hint}`];
  });
  return [...lines, '', verdict(findings, pulls.length, paint)];
}

function verdict(findings: readonly Finding[], pulls: number, paint: ReturnType<typeof painter>): string {
  const count = (state: Finding['state']) => findings.filter((each) => each.state === state).length;
  const some = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
  const warnings = count('warning') === 0 ? '' : `, ${some(count('warning'), 'warning')}`;
  const failures = count('failure');
  return failures === 0
    ? `${paint('ok', 'this would boot')}: ${some(pulls, 'image')}${warnings}`
    : `${paint('failure', 'this would fail')}: ${some(failures, 'failure')}${warnings}`;
}

/** What is printed with `--json`. */
export function reportJson({ findings, pulls }: CheckResult): Readonly<Record<string, unknown>> {
  return {
    boots: findings.every(({ state }) => state !== 'failure'),
    checks: findings.map(({ stage, state, text, hint, error }) => ({
      stage,
      state,
      text,
      hint: hint ?? null,
      code: error?.code ?? null,
    })),
    pulls,
  };
}

/** Colours on a terminal that understands them, and is allowed to show them (https://no-color.org). */
function painter(): (state: Finding['state'], text: string) => string {
  const { NO_COLOR, TERM } = process.env;
  const isColored = process.stdout.isTTY === true && !NO_COLOR && TERM !== 'dumb';
  return (state, text) => (isColored ? `${COLORS[state]}${text}${RESET}` : text);
}
