import type { Completion } from '../src/commands/command.ts';
import { type CompletedCommand, type CompletedOption, LEADING_OPTIONS } from './completion-words.ts';

/** The script for fish 3. */
export function fishCompletion(completed: readonly CompletedCommand[]): string {
  return `# Completion of rdpull for fish, made by scripts/completions from the tables of its options.

# The options of a command whose value may be a word of its own.
function __rdpull_options_with_value --argument-names command
    switch "$command"
${completed.map(valueCase).join('')}    end
end

# The command, and its operands so far, a line each; the words behind an option are its value.
function __rdpull_operands
    set --local tokens (commandline --tokenize --cut-at-cursor --current-process)
    set --erase tokens[1]
    set --local with_value
    set --local is_value false
    set --local ended false
    set --local command
    for token in $tokens
        if test $is_value = true
            set is_value false
        else if test $ended = false -a "$token" = --
            set ended true
        else if test $ended = false; and string match --quiet -- '-?*' "$token"
            contains -- "$token" $with_value; and set is_value true
        else
            echo -- $token
            if not set --query command[1]
                set command $token
                set with_value (__rdpull_options_with_value $command)
            end
        end
    end
end

# Whether no command was given yet.
function __rdpull_lacks_command
    test (count (__rdpull_operands)) -eq 0
end

# Whether this is the command, and takes another operand than the value of an option.
function __rdpull_operand --argument-names command most
    set --local operands (__rdpull_operands)
    test "$operands[1]" = $command -a (count $operands) -le $most
end

# Whether this is the command. With the name of an option: and it was not given yet, the last word not counting when its value
# may be what is being written.
function __rdpull_option --argument-names command option value
    set --local operands (__rdpull_operands)
    test "$operands[1]" = "$command"; or return
    test -n "$option"; or return 0
    set --local tokens (commandline --tokenize --cut-at-cursor --current-process)
    test -n "$value" -a "$tokens[-1]" = --$option; and set --erase tokens[-1]
    not string match --quiet --regex -- "^--$option(=|\\$)" $tokens
end

function __rdpull_loop_devices
    for entry in /sys/block/loop*/loop
        string replace --regex '^/sys/block/(.*)/loop' '/dev/$1' $entry
    end
end

complete --command rdpull --no-files
${LEADING_OPTIONS.map((option) => optionLine('', option)).join('')}
${completed
  .map(({ name, description }) => line('__rdpull_lacks_command', `--arguments ${name}`, description))
  .join('')}
${completed.map(commandLines).join('\n')}`;
}

function valueCase({ name, options }: CompletedCommand): string {
  const names = options
    .filter(({ value }) => value !== undefined && !value.isOptional)
    .map((option) => `--${option.name}`);
  return names.length === 0 ? '' : `        case ${name}\n            printf '%s\\n' ${names.join(' ')}\n`;
}

function commandLines({ name, options, operand, operands }: CompletedCommand): string {
  const offered = offer(operand.completes);
  const own = options.map((option) => optionLine(name, option)).join('');
  return offered === '' ? own : `${own}${line(`__rdpull_operand ${name} ${operands}`, offered)}`;
}

function optionLine(command: string, { name, value, isRepeatable, description }: CompletedOption): string {
  const parameter = value?.isOptional === true ? '' : ' --require-parameter';
  const takes = value === undefined ? '' : `${parameter} ${offer(value.completes) || '--no-files'}`;
  const once = isRepeatable ? '' : ` ${name}${value === undefined || value.isOptional ? '' : ' value'}`;
  const asked = `__rdpull_option ${command === '' ? '""' : command}${once}`;
  return line(asked, `--long-option ${name}${takes}`.trimEnd(), description);
}

function line(condition: string, offered: string, description?: string): string {
  const described = description === undefined ? '' : ` --description ${quoted(description)}`;
  return `complete --command rdpull --condition ${quoted(condition)} ${offered}${described}\n`;
}

function offer(completes: Completion): string {
  switch (completes) {
    case 'file':
      return '--force-files';
    case 'directory':
      return `--no-files --arguments '(__fish_complete_directories)'`;
    case 'loop-device':
      return "--force-files --arguments '(__rdpull_loop_devices)'";
  }
  return completes.length === 0 ? '' : `--no-files --arguments ${quoted(completes.join(' '))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, '\\$&')}'`;
}
