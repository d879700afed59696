import type { Completion } from '../src/commands/command.ts';
import { type CompletedCommand, type CompletedOption, LEADING_OPTIONS } from './completion-words.ts';

/** The function for zsh: a file called _rdpull in one of the directories of $fpath. */
export function zshCompletion(completed: readonly CompletedCommand[]): string {
  const commands = completed.map(({ name, description }) => quoted(`${name}:${withoutColons(description)}`));
  return `#compdef rdpull
# Completion of rdpull for zsh, made by scripts/completions from the tables of its options.

# Words behind --, of which some are but beginnings; before it what _arguments has for compadd.
_rdpull_words() {
  local -i at=\${@[(i)--]} ret=1
  local -a for_compadd=("\${@[1,at-1]}") words=("\${@[at+1,-1]}")
  compadd "$for_compadd[@]" -S '' -- \${(M)words:#*[=:/,]} && ret=0
  compadd "$for_compadd[@]" -- \${words:#*[=:/,]} && ret=0
  return ret
}

_rdpull_loop_devices() {
  local -a devices=(/sys/block/loop*/loop(N:h:t))
  devices=(/dev/\${^devices})
  _alternative "devices:loop device:($devices)" 'files:image:_files'
}

_rdpull() {
  local curcontext=$curcontext context state state_descr line
  local -i ret=1
  local -A opt_args
  local -a commands=(
${commands.map((command) => `    ${command}\n`).join('')}  )

  # What stands behind the command is for the command.
  _arguments -C -A '-*' \\
${LEADING_OPTIONS.map((option) => `    ${optionSpec(option)} \\\n`).join('')}    '1: :->command' \\
    '*:: :->rest' && ret=0

  case $state in
    command)
      _describe -t commands command commands && ret=0
      ;;
    rest)
      curcontext=\${curcontext%:*:*}:rdpull-$words[1]:
      case $words[1] in
${completed.map(commandCase).join('')}      esac
      ;;
  esac
  return ret
}

_rdpull "$@"
`;
}

function commandCase({ name, options, operand, operands }: CompletedCommand): string {
  const operandSpec = quoted(`:${withoutColons(operand.name)}:${action(operand.completes)}`);
  const specs = [...options.map(optionSpec), ...Array<string>(operands).fill(operandSpec)];
  return `        ${name})
          _arguments -S \\
${specs.map((spec) => `            ${spec}`).join(' \\\n')} && ret=0
          ;;
`;
}

function optionSpec({ name, value, isRepeatable, description }: CompletedOption): string {
  // Whoever asks for one of these asks for nothing else.
  const before = name === 'help' || name === 'version' ? '(- : *)' : isRepeatable ? '*' : '';
  const shown = `[${description.replaceAll(/[\\[\]]/g, '\\$&')}]`;
  if (value === undefined) return quoted(`${before}--${name}${shown}`);
  const [joined, colons] = value.isOptional ? ['=-', '::'] : ['=', ':'];
  return quoted(
    `${before}--${name}${joined}${shown}${colons}${withoutColons(value.name)}:${action(value.completes)}`,
  );
}

function action(completes: Completion): string {
  switch (completes) {
    case 'file':
      return '_files';
    case 'directory':
      return '_path_files -/';
    case 'loop-device':
      return '_rdpull_loop_devices';
  }
  return completes.length === 0 ? ' ' : `_rdpull_words -- ${withoutColons(completes.join(' '))}`;
}

/** In _arguments and _describe a colon ends a field. */
function withoutColons(text: string): string {
  return text.replaceAll(/[\\:]/g, '\\$&');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
