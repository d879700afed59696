/**
 * Lines whose number somebody outside decides: a tarball, a signature, a kernel command line. However many they are, the
 * first ones are written, each text once, and of the others the number.
 */
export interface BoundedLines {
  /** Writes `text`, as long as there are not too many. */
  add(text: string): void;
  /** Says how many were too many, unless it has been said. */
  end(): void;
}

/**
 * @param most how many lines are written, without the one that says how many were too many
 * @param write takes each line
 * @param rest that last line, of a number of lines
 */
export function boundLines(
  most: number,
  write: (text: string) => void,
  rest: (count: string) => string = (count) => `and ${count} more lines like these`,
): BoundedLines {
  const written = new Set<string>();
  let untold = 0;
  return {
    add(text) {
      if (written.has(text)) return;
      if (written.size === most) {
        untold++;
        return;
      }
      written.add(text);
      write(text);
    },
    end() {
      if (untold > 0) write(rest(grouped(untold)));
      untold = 0;
    },
  };
}

/** `19,990` */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
