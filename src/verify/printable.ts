/** Longer texts are cut, so that a message still fits a console. In characters. */
const LONGEST = 120;

/**
 * `text` from outside, fit for a terminal: control characters, invisible formatting (which can turn the direction of a
 * line around), line separators and lone surrogates become `\u{N}`.
 */
export function printable(text: string): string {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return shown.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** {@link printable} in double quotes. */
export function quoted(text: string): string {
  return `"${printable(text)}"`;
}
