/**
 * The lines `NAME=VALUE` of a file that a program wrote for itself or for a shell. Quotes around a value are taken away; `'\''` in
 * it, and what `$'...'` of bash escapes, stay as they are: no URL needs them. Of several of one name the first counts.
 */
export function assignments(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    const name = line.slice(0, equals).trim();
    if (equals <= 0 || name.startsWith('#') || values.has(name)) continue;
    values.set(name, unquoted(line.slice(equals + 1).trim()));
  }
  return values;
}

function unquoted(value: string): string {
  const [, quote, inside] = /^(['"])(.*)\1$/s.exec(value) ?? [];
  return quote === undefined || inside === undefined ? value : inside;
}
