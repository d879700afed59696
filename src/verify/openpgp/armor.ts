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
