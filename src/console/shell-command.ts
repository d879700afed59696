import { printable } from './printable.ts';

/** What a shell takes as it is, anywhere but at the start of a command. */
const PLAIN = /^[A-Za-z0-9%+,./:=@_-]+$/;

/** Words as a line to be pasted into a shell, all of it fit for a terminal. */
export function shellCommand(words: readonly string[]): string {
  return words.map(shellWord).join(' ');
}

/** One word of such a line. */
export function shellWord(word: string): string {
  return PLAIN.test(word) ? word : quotedWord(word);
}

/** POSIX quotes; where there is something that a terminal must not get, those of bash and busybox. */
function quotedWord(word: string): string {
  const pieces = word.match(/.{1,100}/gsu) ?? [];
  if (pieces.every((piece) => printable(piece) === piece)) return `'${word.replaceAll("'", "'\\''")}'`;
  const escaped = [...word].map((character) => {
    if (/[\x20-\x7e]/.test(character)) return character.replace(/[\\']/, '\\$&');
    return [...Buffer.from(character)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  });
  return `$'${escaped.join('')}'`;
}
