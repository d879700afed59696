/** A pull expression as systemd takes it apart, so that the differences can be told by what it says. */
export interface Fields {
  /** Unescaped. */
  readonly options: readonly string[];
  /** Unescaped. */
  readonly local: string;
  readonly remote: string;
}

/**
 * Splits `OPTIONS:LOCAL:REMOTE`; undefined when it has no colon that is not escaped, or ends in a backslash. Without a
 * second colon REMOTE is empty, which systemd refuses alike.
 */
export function splitExpression(expression: string): Fields | undefined {
  const [, options, local, remote = ''] =
    /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*)(?::(.*))?$/s.exec(expression) ?? [];
  if (options === undefined || local === undefined) return undefined;
  return { options: withoutEscapes(options).split(','), local: withoutEscapes(local), remote };
}

export function joinExpression({ options, local, remote }: Fields): string {
  return `${withEscapes(options.join(','))}:${withEscapes(local)}:${remote}`;
}

function withoutEscapes(field: string): string {
  return field.replace(/\\(.)/gs, '$1');
}

function withEscapes(text: string): string {
  return text.replace(/[:\\]/g, '\\$&');
}
