/** What a person does about a clock that is before the build of this executable, and so wrong. */
export function howToSetTheClock(built: Date): string {
  const epoch = Math.floor(built.getTime() / 1000);
  return `set it with date --set=TIME or timedatectl set-time, to ${iso(built)} or later (date --set=@${epoch})`;
}

/** A time to the second, as ISO 8601. */
export function iso(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
