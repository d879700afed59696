/** Longer texts are cut: a message has to fit a console line or three, and a credential may hold a megabyte. */
const LONGEST = 300;

/**
 * `text` from outside, fit for a terminal and a log line: control characters, invisible formatting (which can turn
 * the direction of a line around), line separators and lone surrogates become `\xNN` or `\u{N}`.
 */
export function printable(text: string): string {
  return printableUpTo(LONGEST, text);
}

/** {@link printable}, cut at another length, in UTF-16 code units. */
export function printableUpTo(longest: number, text: string): string {
  const shown = text.length > longest ? `${text.slice(0, longest)}…` : text;
  // The generator's every millisecond counts, and compiling the classes of Unicode takes one tenth of it.
  if (/^[\x20-\x7e]*$/.test(shown)) return shown;
  return shown.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeCharacter);
}

/** {@link printable} in double quotes. */
export function quoted(text: string): string {
  return `"${printable(text)}"`;
}

function escapeCharacter(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  return hex.length > 2 ? `\\u{${hex}}` : `\\x${hex.padStart(2, '0')}`;
}
