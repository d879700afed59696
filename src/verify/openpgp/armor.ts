/** What a text holds in the way of ASCII armor (RFC 9580, section 6.2). */
export interface ArmoredText {
  /** The blocks in their order, each from its BEGIN line to its END line. */
  readonly blocks: readonly ArmoredBlock[];
  /** Whether there is anything but white space outside of them, a block that does not end among it. */
  readonly hasOtherText: boolean;
}

export interface ArmoredBlock {
  /** What the BEGIN and END lines say, such as `PGP SIGNATURE`. */
  readonly label: string;
  readonly text: string;
}

/**
 * Takes armored blocks apart, so that several of them in one file count (`cat a.asc b.asc`): OpenPGP.js reads the
 * first one and ignores all that follows.
 */
export function readArmor(text: string): ArmoredText {
  const blocks: ArmoredBlock[] = [];
  let open: { label: string; lines: string[] } | undefined;
  let hasOtherText = false;

  for (const line of text.split(/\r?\n/)) {
    const [, edge, label = ''] = /^-----(BEGIN|END) ([A-Z ,/0-9]+)-----\s*$/.exec(line) ?? [];
    if (edge === 'BEGIN') {
      if (open !== undefined) hasOtherText = true;
      open = { label, lines: [line] };
    } else if (open === undefined) {
      if (line.trim() !== '') hasOtherText = true;
    } else {
      open.lines.push(line);
      if (edge === 'END' && label === open.label) {
        blocks.push({ label, text: `${open.lines.join('\n')}\n` });
        open = undefined;
      }
    }
  }
  return { blocks, hasOtherText: hasOtherText || open !== undefined };
}

/**
 * The bytes of an armored block (RFC 9580, sections 6.2 and 6.3). Its checksum is passed over, as section 6.1 asks: what
 * the bytes are worth is for signatures to say.
 *
 * @throws Error when there is anything but base64 behind the headers
 */
export function bytesOfArmor({ text }: ArmoredBlock): Uint8Array {
  const lines = text.split('\n').slice(1, -2);
  const isHeader = (line: string) => line.includes(':') || line.trim() === '';
  const begin = lines.findIndex((line) => !isHeader(line));
  const encoded = lines
    .slice(begin < 0 ? lines.length : begin)
    .map((line) => line.trim())
    .filter((line) => !/^=[A-Za-z0-9+/]{4}$/.test(line))
    .join('');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded) || encoded.length % 4 !== 0) {
    throw new Error('its armor is damaged');
  }
  return Buffer.from(encoded, 'base64');
}
