/** Prints the Markdown of a manual page; where a line is {@link MARK}, it says what every command does and takes. */
import fs from 'node:fs';
import type { CommandSummary, OptionSpec } from '../src/commands/command.ts';
import { COMMON_OPTIONS } from '../src/commands/command-line.ts';
import { COMMANDS, GENERATE } from '../src/commands/commands.ts';
import { shownOperands } from '../src/commands/help.ts';

const MARK = '<!-- commands -->\n';

const [source = ''] = process.argv.slice(2);
process.stdout.write(fs.readFileSync(source, 'utf8').replace(MARK, () => commandSections()));

function commandSections(): string {
  const commands = COMMANDS.map(
    (command) => `${heading(command)}
${paragraphs(command.description)}

${command.options.map(optionEntry).join('\n')}`,
  );
  return `${commands.join('\n')}
${heading(GENERATE)}
${sentence(GENERATE.summary)} See **rdpull-generator**(8).

### Options of every command

${COMMON_OPTIONS.map(optionEntry).join('\n')}
**--version**
: in place of a command: print the version
`;
}

function heading(command: CommandSummary): string {
  return `### rdpull ${command.name} ${escaped(shownOperands(command))}\n`;
}

function optionEntry({ name, value, repeatable, help }: OptionSpec): string {
  const shown = value === undefined ? `**--${name}**` : `**--${name}=**_${escaped(value)}_`;
  return `${shown}\n: ${escaped(help)}${repeatable === true ? ' (repeatable)' : ''}\n`;
}

/** Paragraphs with a margin are shown as they are. */
function paragraphs(text: string): string {
  return text
    .split('\n\n')
    .map((paragraph) =>
      paragraph.split('\n').every((line) => line.startsWith('  '))
        ? paragraph.replaceAll(/^ +/gm, (margin) => `  ${margin}`)
        : escaped(paragraph),
    )
    .join('\n\n');
}

function sentence(text: string): string {
  return escaped(`${text.charAt(0).toUpperCase()}${text.slice(1)}.`);
}

/** What Markdown would take for its own. */
function escaped(text: string): string {
  return text.replaceAll(/[\\*_`<>[\]]/g, '\\$&');
}
