const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** A number of bytes for a person: `812 B`, `1.2 MiB`, `31.6 MiB`, `512 MiB`. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A part of something and the whole, in bytes: `58.2 of 158 MiB`, `812 KiB of 158 MiB`. */
export function share(part: number, whole: number): string {
  const partial = size(part);
  const total = size(whole);
  const [figure = '', unit] = partial.split(' ');
  return `${total.endsWith(` ${unit}`) ? figure : partial} of ${total}`;
}

/** A duration in ms for a person: `0.8 s`, `12 s`, `3 min 5 s`, `2 h 14 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
