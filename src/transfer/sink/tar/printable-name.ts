/** Longer names are cut in messages, in characters. */
const LONGEST = 200;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * A file name out of an archive, in double quotes and fit for a terminal: bytes that are not UTF-8 and characters
 * that control the terminal or the direction of writing become `\xNN` or `\u{N}`.
 */
export function printableName(name: Uint8Array): string {
  const text = decode(name);
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  return `"${shown.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeCharacter)}"`;
}

function decode(name: Uint8Array): string {
  try {
    return utf8.decode(name);
  } catch {
    return Buffer.from(name).toString('latin1').replace(/[\x80-\xff]/g, escapeCharacter);
  }
}

function escapeCharacter(character: string): string {
  const hex = (character.codePointAt(0) ?? 0).toString(16);
  return hex.length > 2 ? `\\u{${hex}}` : `\\x${hex.padStart(2, '0')}`;
}
