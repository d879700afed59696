/** An object of JSON that somebody else has written. */
export type Fields = Readonly<Record<string, unknown>>;

/** What is wrong with JSON that somebody else has written; the message says it of a field. */
export class FieldError extends Error {}

/** @throws FieldError when it is no object of JSON */
export function parseFields(bytes: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new FieldError('it is not JSON');
  }
  if (!isFields(value)) throw new FieldError('it is no JSON object');
  return value;
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** undefined when the field is missing, or null. */
export function optionalString(fields: Fields, name: string): string | undefined {
  const value = fields[name] ?? undefined;
  if (value !== undefined && typeof value !== 'string') throw new FieldError(`"${name}" is no string`);
  return value;
}

export function requiredString(fields: Fields, name: string): string {
  const value = optionalString(fields, name);
  if (value === undefined) throw new FieldError(`"${name}" is missing`);
  return value;
}

export function requiredFields(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (!isFields(value)) throw new FieldError(`"${name}" is no object`);
  return value;
}

export function requiredList(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new FieldError(`"${name}" is no list`);
  return value;
}
