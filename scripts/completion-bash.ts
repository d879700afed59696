import type { Completion } from '../src/commands/command.ts';
import { type CompletedCommand, LEADING_OPTIONS } from './completion-words.ts';

/** The script for bash 4.4 and later; it needs nothing of the package bash-completion. */
export function bashCompletion(completed: readonly CompletedCommand[]): string {
  return `# Completion of rdpull for bash, made by scripts/completions from the tables of its options.
# shellcheck shell=bash

# What COMMAND takes: its options, those with a value ending in =, which of them may come again, and how many operands.
# And what is offered for the value of OPTION, or without one for an operand.
_rdpull_table() { # COMMAND [OPTION]
  options='' repeatable='' operands=0 kind='' choices=''
  case $1 in
    '')
      options='${LEADING_OPTIONS.map(spelling).join(' ')}'
      operands=1 choices='${words(completed.map(({ name }) => name))}'
      ;;
${completed.map(commandCase).join('')}  esac
}

_rdpull() {
  local options repeatable operands kind choices
  local command='' ended='' given=' ' takes='' count=0 word trimmed i
  local rest=\${COMP_LINE:0:COMP_POINT}
  local -a words=()
  COMPREPLY=()

  # bash takes words apart at = and :, which are ordinary characters here.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    trimmed=\${rest#"\${rest%%[![:space:]]*}"}
    word=\${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || word=$trimmed
    if ((i > 0)) && [[ -n $trimmed && $trimmed == "$rest" ]]; then
      words[-1]+=$word
    else
      words+=("$word")
    fi
    rest=\${trimmed#"$word"}
  done
  ((\${#words[@]} > 1)) || return 0

  local current=\${words[-1]}
  for word in "\${words[@]:1:\${#words[@]}-2}"; do
    if [[ -n $takes ]]; then
      takes=''
    elif [[ -z $ended && $word == -- ]]; then
      ended=yes
    elif [[ -z $ended && $word == -?* ]]; then
      given+="\${word%%=*} "
      _rdpull_table "$command"
      [[ " $options " != *" $word= "* ]] || takes=$word
    elif [[ -z $command ]]; then
      command=$word
    else
      ((++count))
    fi
  done

  local prefix='' value=$current
  if [[ -z $takes && -z $ended && $current == --*=* ]]; then
    takes=\${current%%=*}
    prefix=$takes=
    value=\${current#*=}
  fi
  _rdpull_table "$command" "$takes"
  if [[ -z $takes ]]; then
    if [[ -z $ended && $current == -* ]]; then
      kind='' choices=''
      for word in $options; do
        [[ $given == *" \${word%=} "* && " $repeatable " != *" \${word%=} "* ]] || choices+=" $word"
      done
    elif ((count >= operands)); then
      return 0
    fi
  fi

  case $kind in
    # Left to bash itself, which knows how to quote what it finds.
    file) compopt -o default 2>/dev/null; return 0 ;;
    directory) compopt -o dirnames 2>/dev/null; return 0 ;;
    loop-device)
      for word in /sys/block/loop*/loop; do
        [[ -e $word ]] || continue
        word=\${word%/loop}
        choices+=" /dev/\${word##*/}"
      done
      # Beside files, which without any match bash itself looks for.
      if [[ -z $value ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -W "$choices"; compgen -f)
        return 0
      fi
      compopt -o default 2>/dev/null
      ;;
  esac

  # What stands before the last = or : stays as it is.
  local breaks=\${COMP_WORDBREAKS//[!=:]/} head=''
  [[ -z $breaks || $current != *[$breaks]* ]] || head=\${current%"\${current##*["$breaks"]}"}
  compopt -o nospace 2>/dev/null
  for word in $choices; do
    [[ $word == "$value"* ]] || continue
    word=$prefix$word
    [[ $word == *[=:/,] ]] || word+=' '
    COMPREPLY+=("\${word#"$head"}")
  done
}

complete -F _rdpull rdpull
`;
}

function commandCase({ name, options, operand, operands }: CompletedCommand): string {
  const repeatable = options.filter(({ isRepeatable }) => isRepeatable);
  const values = new Map<string, string[]>([[offer(operand.completes), ["''"]]]);
  for (const { name: option, value } of options) {
    if (value === undefined) continue;
    const action = offer(value.completes);
    values.set(action, [...(values.get(action) ?? []), `--${option}`]);
  }
  return `    ${name})
      options='${options.map(spelling).join(' ')}'
      repeatable='${repeatable.map((option) => `--${option.name}`).join(' ')}'
      operands=${operands}
      case \${2-} in
${[...values]
  .filter(([action]) => action !== '')
  .map(([action, names]) => `        ${names.join(' | ')}) ${action} ;;\n`)
  .join('')}      esac
      ;;
`;
}

function spelling({ name, value }: CompletedCommand['options'][number]): string {
  // One that may stand alone takes no word behind it.
  return value === undefined || value.isOptional ? `--${name}` : `--${name}=`;
}

function offer(completes: Completion): string {
  if (typeof completes === 'string') return `kind='${completes}'`;
  return completes.length === 0 ? '' : `choices='${words(completes)}'`;
}

/** bash takes them apart at spaces, and expands what it sees in them. */
function words(choices: readonly string[]): string {
  const odd = choices.find((choice) => !/^[\w:=/.,-]+$/.test(choice));
  if (odd !== undefined) throw new Error(`bash would not take ${JSON.stringify(odd)} as it is`);
  return choices.join(' ');
}
