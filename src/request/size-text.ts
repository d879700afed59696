/** Suffixes of numbers: powers of 1024. */
const SUFFIXES: readonly string[] = ['', 'K', 'M', 'G', 'T'];

/** A whole number with or without a suffix (`64`, `512M`, `1g`); undefined when `text` is none. */
export function parseSize(text: string): number | undefined {
  const [, digits, suffix = ''] = /^(\d{1,16})([KMGT]?)$/i.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * 1024 ** SUFFIXES.indexOf(suffix.toUpperCase());
}

/** A number as short as {@link parseSize} takes it: `1T`. */
export function shortestSize(value: number): string {
  const power = SUFFIXES.findLastIndex((_, each) => value % 1024 ** each === 0);
  return `${value / 1024 ** power}${SUFFIXES[power] ?? ''}`;
}
