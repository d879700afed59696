import { escapeSpecifiers } from '../request/unit-name.ts';

/** One section of a unit file: its name without brackets, and `NAME=VALUE` for each setting. */
export interface UnitSection {
  readonly name: string;
  readonly settings: readonly (readonly [name: string, value: string])[];
}

/** Characters of an argument that mean themselves outside of quotes, behind an ExecStart= that expands no variables. */
const PLAIN_ARGUMENT = /^[A-Za-z0-9%+,./:=@_-]+$/;

/**
 * One argument of ExecStart=, or one item of a list, as systemd.syntax(7) and systemd.service(5), "Command lines", want
 * it spelled. Where variables are expanded (ExecStart= without `:`) dollar signs need more than this.
 */
export function quoteArgument(text: string): string {
  const escaped = escapeSpecifiers(text);
  return PLAIN_ARGUMENT.test(text) ? escaped : `"${escaped.replaceAll(/[\\"]/g, '\\$&')}"`;
}

/**
 * Why `text` cannot be the whole value of a setting, as the end of a sentence that starts with it; undefined if it can.
 * Such values have no quotes, so that some texts cannot be said.
 */
export function settingDefect(text: string): string | undefined {
  if (/[\x00-\x1f\x7f]/.test(text)) return 'contains a control character';
  if (text !== text.trim()) return 'starts or ends with a space';
  if (text.endsWith('\\')) return 'ends with a backslash';
  return undefined;
}

/**
 * What {@link settingDefect} finds, in any line between line feeds. Without the flag `m`, to which U+2028 ends a line, too, and without
 * looking around, for which the engine has no compiler.
 */
const DEFECTIVE_LINE = /[\x00-\x09\x0b-\x1f\x7f]|(?:[^\S\n]|\\)\n|\n(?:# |\w+=)[^\S\n]/;

/**
 * The text of a unit file. Every value must be free of what {@link settingDefect} finds: no value, wherever it comes
 * from, may start a line of its own.
 */
export function unitText(comments: readonly string[], sections: readonly UnitSection[]): string {
  const lines = comments.map((comment) => `# ${comment}`);
  for (const { name, settings } of sections) {
    lines.push('', `[${name}]`);
    // No function called for each, and no setting taken apart by the protocol of iterators: either would be compiled.
    for (const setting of settings) lines.push(setting.join('='));
  }
  const text = lines.join('\n');
  // One look at the whole, because one at each line is enough to start the engine's compiler thread.
  if (DEFECTIVE_LINE.test(`\n${text}\n`) || text.split('\n').length !== lines.length) {
    for (const comment of comments) requireSetting(comment);
    for (const { settings } of sections) for (const [, value] of settings) requireSetting(value);
    throw new Error('a line for a unit file is not what it should be');
  }
  return `${text}\n`;
}

function requireSetting(text: string): void {
  const defect = settingDefect(text);
  if (defect !== undefined) throw new Error(`a line for a unit file ${defect}: ${JSON.stringify(text)}`);
}
