import { printable, quoted } from '../../console/printable.ts';

/** What is shown of a line, in characters. */
const SHOWN = 80;

/**
 * What llhttp has refused, in words, and with the line in which it stands.
 *
 * @param reason llhttp's own words
 * @param text what had come, as ISO 8859-1: of the head, or of the body since the last segment
 * @param position where in it llhttp stopped
 * @returns the end of a sentence, fit for a terminal
 */
export function refusedLine(reason: string, text: string, position: number, inHead: boolean): string {
  if (inHead && !text.startsWith('HTTP/'))
    return `it begins with ${quoted(lineAt(text, 0, inHead).slice(0, 40))}`;
  const line = lineAt(text, position, inHead);
  if (reason === 'Unexpected space after start line') return 'its first header begins with a space';
  if (inHead && !text.slice(0, position).includes('\n')) return `its first line is ${quoted(line)}`;
  if (reason.includes('Content-Length') && reason.includes('Transfer-Encoding'))
    return 'it has both a Content-Length and a Transfer-Encoding';
  if (reason === 'Duplicate Content-Length') return `its Content-Length is ${printable(lengths(text))}`;
  if (reason === 'Empty Content-Length') return 'its Content-Length is ""';
  if (/^content-length:/i.test(line)) return `its Content-Length is ${listed(valueIn(line))}`;
  if (reason.startsWith('Missing expected CR')) return 'a line ends without a carriage return';
  if (reason === 'Expected LF after chunk data') return 'a chunk is longer than it says';
  if (reason.includes('hunk')) return `the size of a chunk is ${quoted(line)}`;
  if (reason.includes('header')) return `one of its headers is ${quoted(line)}`;
  return `${printable(reason)}: ${quoted(line)}`;
}

/** The line around a place; in a head, one that begins with a space goes on with the line before it (RFC 9112, section 5.2). */
function lineAt(text: string, position: number, inHead: boolean): string {
  let start = lineStart(text, position);
  while (inHead && start > 0 && (text[start] === ' ' || text[start] === '\t'))
    start = lineStart(text, start - 1);
  const end = text.indexOf('\n', position);
  const [first = '', ...others] = text
    .slice(start, end < 0 ? undefined : end)
    .split('\n')
    .map(withoutCr);
  return [first, ...others.map((line) => line.trim())].join(' ').slice(0, SHOWN);
}

function lineStart(text: string, position: number): number {
  return position === 0 ? 0 : text.lastIndexOf('\n', position - 1) + 1;
}

/** All lengths that a head says. */
function lengths(head: string): string {
  const lines = head.split('\n').map(withoutCr);
  return lines
    .filter((line) => /^content-length:/i.test(line))
    .map(valueIn)
    .join(' and ');
}

function listed(value: string): string {
  return value.includes(',') ? printable(value.split(/[\t ]*,[\t ]*/).join(' and ')) : quoted(value);
}

function valueIn(line: string): string {
  return line.slice(line.indexOf(':') + 1).trim();
}

function withoutCr(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}
