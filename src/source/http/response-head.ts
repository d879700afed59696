/** The values of all fields of a name, which is in lower case. */
export type FieldValues = (name: string) => readonly string[];

/** What an answer says before its body. */
export interface ResponseHead {
  readonly status: number;
  /** The words behind the status, which may be none; as ISO 8859-1. */
  readonly reason: string;
  readonly values: FieldValues;
}

/** The fields of a head by name, out of names and values in turn, which are read as ISO 8859-1. */
export function fieldValues(raw: readonly Buffer[]): FieldValues {
  const fields = new Map<string, string[]>();
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]?.toString('latin1').toLowerCase() ?? '';
    const value = withoutSpace(raw[index + 1]?.toString('latin1') ?? '');
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [value]);
    else values.push(value);
  }
  return (name) => fields.get(name) ?? [];
}

/** Without the optional white space around it (RFC 9110, section 5.6.3); trim() would take more than that. */
export function withoutSpace(value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && isSpace(value.charCodeAt(from))) from++;
  while (to > from && isSpace(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
