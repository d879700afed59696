import type { Command, CommandSummary, OptionSpec } from './command.ts';
import { COMMON_OPTIONS } from './command-line.ts';

const INDENT = '  ';
const COLUMN = 30;
const WIDTH = 100;

/** What `rdpull --help` prints. */
export function overview(commands: readonly CommandSummary[]): string {
  const rows = commands.map((command) => row(`${command.name} ${shownOperands(command)}`, command.summary));
  return `Pulls the root image of a machine: downloads it, verifies it, and attaches or mounts it. At boot the kernel
command line says what to pull (rd.systemd.pull=); by hand, it is a URL.

Usage: rdpull COMMAND [OPTIONS] OPERAND

Commands:
${rows.join('\n')}

Examples:
  rdpull pull --blockdev http://10.0.0.1:8081/image.raw.xz
  rdpull pull --bind=/sysroot http://10.0.0.1:8081/image.tar.zst
  rdpull verify --keyring=builder.pgp image.raw.xz

rdpull COMMAND --help says more about each, and so do rdpull(1) and rdpull.pull(7).
rdpull --version prints the version.

Exit status: 0 when all that was asked for holds; 2 wrong usage, 10 network, 11 HTTP, 12 damaged data,
13 verification, 14 files and disks, 15 devices and mounts, 1 a defect of rdpull.
`;
}

/** What `rdpull COMMAND --help` prints. */
export function commandHelp(command: Command): string {
  const { name, description, options } = command;
  const own = options.length === 0 ? '' : `Options:\n${options.map(optionRow).join('\n')}\n\n`;
  return `Usage: rdpull ${name} [OPTIONS] ${shownOperands(command)}

${description}

${own}Common options:
${COMMON_OPTIONS.map(optionRow).join('\n')}
`;
}

/** `URL`, `[NAME]`, or `ACTION [WHAT]`. */
export function shownOperands({ operand, operandIsOptional, secondOperand }: CommandSummary): string {
  const first = operandIsOptional === true ? `[${operand}]` : operand;
  return secondOperand === undefined ? first : `${first} [${secondOperand}]`;
}

function optionRow({ name, value, valueIsOptional, repeatable, help }: OptionSpec): string {
  const spelling =
    value === undefined ? `--${name}` : valueIsOptional ? `--${name}[=${value}]` : `--${name}=${value}`;
  return row(spelling, repeatable === true ? `${help} (repeatable)` : help);
}

/** Two columns; the second one is wrapped. */
function row(left: string, right: string): string {
  const start = `${INDENT}${left} `.padEnd(COLUMN);
  const lines: string[] = [];
  let line = start.length > COLUMN ? `${start.trimEnd()}\n${' '.repeat(COLUMN)}` : start;
  let length = COLUMN;
  for (const word of right.split(' ')) {
    if (length > COLUMN && length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = ' '.repeat(COLUMN);
      length = COLUMN;
    }
    line += length === COLUMN ? word : ` ${word}`;
    length += (length === COLUMN ? 0 : 1) + word.length;
  }
  return [...lines, line].join('\n');
}
