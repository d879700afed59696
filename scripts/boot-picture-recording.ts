/** What a terminal got, and when. */
export interface Recording {
  readonly columns: number;
  readonly rows: number;
  readonly outputs: readonly Output[];
}

export interface Output {
  /** Since the recording began. */
  readonly seconds: number;
  readonly text: string;
}

/** What comes within this time, in seconds, is one event in the file. */
const TOGETHER = 0.02;

/** A recording in the format asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/. */
export function formatAsciicast({ columns, rows, outputs }: Recording, title: string): string {
  const together: { seconds: number; text: string }[] = [];
  for (const { seconds, text } of outputs) {
    const last = together.at(-1);
    if (last !== undefined && seconds - last.seconds < TOGETHER) last.text += text;
    else together.push({ seconds, text });
  }
  const lines = [
    { version: 2, width: columns, height: rows, title },
    ...together.map(({ seconds, text }) => [Number(seconds.toFixed(3)), 'o', text]),
  ];
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** @throws Error when it is no asciicast v2; events that are no output are left out */
export function parseAsciicast(content: string): Recording {
  const [header, ...events] = content
    .split('\n')
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
  if (!isHeader(header)) throw new Error('the recording does not begin like an asciicast of version 2');
  return {
    columns: header.width,
    rows: header.height,
    outputs: events.flatMap((event) => {
      const [seconds, kind, text]: readonly unknown[] = Array.isArray(event) ? event : [];
      return typeof seconds === 'number' && kind === 'o' && typeof text === 'string'
        ? [{ seconds, text }]
        : [];
    }),
  };
}

interface Header {
  readonly version: 2;
  readonly width: number;
  readonly height: number;
}

function isHeader(value: unknown): value is Header {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === 2 &&
    'width' in value &&
    typeof value.width === 'number' &&
    'height' in value &&
    typeof value.height === 'number'
  );
}
